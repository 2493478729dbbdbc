"""Reading what slides and images shall be stained like: from a picture, or from a package."""

from pathlib import Path

import yaml
from pydantic import TypeAdapter, ValidationError

from wsi_pipeline.errors import UsageError
from wsi_pipeline.images.picture import read_picture
from wsi_pipeline.model.package import DESCRIPTION
from wsi_pipeline.stain.appearance import Method
from wsi_pipeline.stain.fit import fit_stain
from wsi_pipeline.stain.normalisation import StainTarget

_TARGET = TypeAdapter(StainTarget)


def read_target(path: Path, method: Method) -> StainTarget:
    """The target that a file gives.

    Args:
        path: A picture of tissue that is stained well; or a package, its ``model.yaml``, or a YAML
            file with ``method`` and ``target`` as stand there under ``preprocessing.stain``.
        method: How slides are made like it.

    Raises:
        ImageError: the picture cannot be read.
        UsageError: its stain cannot be told, or the file holds none, or one of another method.
    """
    if path.is_dir() or path.suffix in (".yaml", ".yml"):
        return _stated(path / DESCRIPTION if path.is_dir() else path, method)
    fit = fit_stain(method, read_picture(path).pixels.reshape(-1, 3))
    if fit.appearance is None:
        raise UsageError(
            f"{path} cannot be a target for {method}: {fit.reason}; choose a picture of tissue "
            "with both stains"
        )
    return StainTarget(method, fit.appearance)


def _stated(path: Path, method: Method) -> StainTarget:
    try:
        facts = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from error
    if isinstance(facts, dict) and "preprocessing" in facts:
        facts = (facts["preprocessing"] or {}).get("stain")
    try:
        target = _TARGET.validate_python(facts)
    except ValidationError as error:
        raise UsageError(
            f"{path} states no stain to be made like: {error.errors()[0]['msg']}; give a package "
            "that was trained with stain, or a picture"
        ) from error
    if target.method != method:
        raise UsageError(
            f"{path} is a target for {target.method}, not for {method}; choose that method, or "
            "give a picture"
        )
    return target
