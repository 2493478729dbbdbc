"""Finding the model that a command names, while the terminal says what is done."""

from contextlib import nullcontext

from wsi_pipeline.cli.console import console
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.provided import find_or_build
from wsi_pipeline.settings import Settings


def find_model(model: str, settings: Settings, *, quiet: bool = False) -> ModelPackage:
    """The package; built first where it comes with the program and is not there yet.

    Raises:
        PackageError: there is none, or it is not valid.
    """
    with nullcontext() if quiet else console.status("loading the model") as status:
        return find_or_build(model, settings, lambda what: status.update(what) if status else None)
