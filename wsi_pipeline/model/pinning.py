"""The last steps of making a package: files without time stamps, each pinned by its SHA-256."""

import hashlib
import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray
from pydantic import ValidationError

from wsi_pipeline.errors import PackageError
from wsi_pipeline.model.description import ModelDescription
from wsi_pipeline.model.package import DESCRIPTION, ModelPackage, first_line, load_package


def write_description(folder: Path, description: Mapping[str, Any]) -> ModelPackage:
    """Pin the files of a new package and describe it; the last step of building one.

    Args:
        folder: Holds the weights and the reference.
        description: The fields of :class:`ModelDescription` but ``files``.

    Raises:
        PackageError: the description or the files are not valid.
    """
    files = {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.iterdir())
        if file.name != DESCRIPTION
    }
    try:
        checked = ModelDescription.model_validate({**description, "files": files})
    except ValidationError as error:
        raise PackageError(folder, first_line(error)) from error
    text = yaml.safe_dump(checked.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
    (folder / DESCRIPTION).write_text(text, encoding="utf-8")
    return load_package(folder)


def write_npz(path: Path, **arrays: NDArray[Any]) -> None:
    """An npz without time stamps: the same arrays give the same bytes."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, np.ascontiguousarray(array), allow_pickle=False)
            entry = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, buffer.getvalue())
