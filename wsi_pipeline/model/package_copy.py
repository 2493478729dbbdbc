"""Copies of packages that say or hold something more."""

import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from wsi_pipeline import durable
from wsi_pipeline.errors import UsageError
from wsi_pipeline.model.graph import find_graph, keep_graph
from wsi_pipeline.model.onnx_file import find_onnx, keep_onnx
from wsi_pipeline.model.package import DESCRIPTION, ModelPackage, load_package
from wsi_pipeline.model.pinning import write_description


def write_copy(
    package: ModelPackage,
    out: Path,
    name: str,
    write: Callable[[Path], object],
    changes: Mapping[str, Any],
    *,
    overwrite: bool,
) -> ModelPackage:
    """Write a copy of a package with one file more, whole or not at all.

    It is another package then: its SHA-256 differs. What was made from its network, the OpenVINO
    graph and the ONNX file, goes with it.

    Args:
        package: The model.
        out: Where the copy goes; may be the package itself with ``overwrite``.
        name: Of the file; an earlier one of this name is not copied.
        write: Writes it into a folder.
        changes: Fields of ``model.yaml`` that differ.
        overwrite: Whether a package there may be replaced.

    Raises:
        PackageError: the description is not valid, or what goes with the package is damaged.
        UsageError: something else is there.
    """
    check_place(out, overwrite=overwrite)
    about = package.description.model_dump(mode="json", exclude={"files"})
    with durable.replacing_folder(out, replace=overwrite) as draft:
        for other in package.description.files:
            if other != name:
                shutil.copyfile(package.folder / other, draft / other)
        write(draft)
        made = write_description(draft, {**about, **changes})
        graph, onnx = find_graph(package), find_onnx(package)
        if graph is not None:
            keep_graph(made, graph)
        if onnx is not None:
            with tempfile.TemporaryDirectory() as folder:
                copy = Path(shutil.copyfile(onnx[0], Path(folder) / onnx[0].name))
                keep_onnx(made, copy, onnx[1])
    return load_package(out)


def check_place(out: Path, *, overwrite: bool) -> None:
    """Check that a package may be written.

    Raises:
        UsageError: something else is there.
    """
    if out.exists() and not (out / DESCRIPTION).exists():
        raise UsageError(f"{out} is there and is no model package; choose another -o")
    if out.exists() and not overwrite:
        raise UsageError(f"{out} exists; replace it with --overwrite, or choose another -o")
