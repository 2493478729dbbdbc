"""A package with a fitted answer for slides: the same in all else, under a new version."""

import shutil
import tempfile
from pathlib import Path

from wsi_pipeline import durable
from wsi_pipeline.errors import UsageError
from wsi_pipeline.model.graph import find_graph, keep_graph
from wsi_pipeline.model.onnx_file import find_onnx, keep_onnx
from wsi_pipeline.model.package import DESCRIPTION, ModelPackage, load_package, write_description
from wsi_pipeline.model.slide_level_section import SLIDE_LEVEL, SlideLevelSection
from wsi_pipeline.slide_level.region_fit import RegionFit, write_fit


def write_with_fit(
    package: ModelPackage,
    out: Path,
    section: SlideLevelSection,
    fit: RegionFit,
    *,
    version: str,
    overwrite: bool,
) -> ModelPackage:
    """Write a copy of a package with a fit, whole or not at all.

    What was made from the package's network, its OpenVINO graph and its ONNX file, goes with it.

    Args:
        package: The model; an earlier fit of it is replaced.
        out: Where the copy goes; may be the package itself with ``overwrite``.
        section: What ``model.yaml`` says of the fit.
        fit: Its numbers.
        version: Of the copy.
        overwrite: Whether a package there may be replaced.

    Raises:
        PackageError: the description is not valid, or what goes with the package is damaged.
        UsageError: something else is there.
    """
    check_place(out, overwrite=overwrite)
    about = package.description.model_dump(mode="json")
    with durable.replacing_folder(out, replace=overwrite) as draft:
        for name in package.description.files:
            if name != SLIDE_LEVEL:
                shutil.copyfile(package.folder / name, draft / name)
        write_fit(draft, fit)
        described = {**about, "version": version, "slide_level": section.model_dump(mode="json")}
        made = write_description(draft, described)
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
