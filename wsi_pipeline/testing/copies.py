"""Packages that differ from another in what their ``model.yaml`` says."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from wsi_pipeline.model.package import CONFORMAL, DESCRIPTION, ModelPackage
from wsi_pipeline.model.pinning import write_description, write_npz


def copy_package(
    package: ModelPackage,
    folder: Path,
    *,
    conformal: NDArray[np.float64] | None = None,
    **fields: Any,
) -> ModelPackage:
    """A package with the same network and other fields.

    Args:
        package: What is copied.
        folder: Of the copy; must not exist.
        conformal: Scores that prediction sets are made with, ``(n,)``; None: those of the package.
        fields: Of ``model.yaml`` that differ.
    """
    shutil.copytree(package.folder, folder)
    described = yaml.safe_load((folder / DESCRIPTION).read_text(encoding="utf-8"))
    del described["files"]
    if conformal is not None:
        write_npz(folder / CONFORMAL, scores=np.asarray(conformal, np.float64))
    return write_description(folder, {**described, **fields})
