"""Finding model packages by path or name; the one named ``demo`` is built when first asked for."""

import fcntl
from collections.abc import Callable
from pathlib import Path

from wsi_pipeline import durable
from wsi_pipeline.errors import PackageError
from wsi_pipeline.model.package import DESCRIPTION, ModelPackage, load_package
from wsi_pipeline.settings import Settings

DEMO = "demo"
#: Bump when the demo package is built differently; earlier ones are then built anew.
DEMO_VERSION = "3"


def find_or_build(
    model: str, settings: Settings, progress: Callable[[str], None] | None = None
) -> ModelPackage:
    """The package a user means by a path or a name.

    Args:
        model: A folder with a ``model.yaml``, or the name of a package in the models folder.
        settings: Say where the models folder is.
        progress: Told what is being done when the demo package has to be built.

    Raises:
        PackageError: there is none, or it is not valid.
    """
    folder = Path(model)
    if (folder / DESCRIPTION).exists() or folder.is_absolute() or len(folder.parts) > 1:
        return load_package(folder)
    named = settings.models_dir / model
    if model == DEMO:
        return _demo(named, progress or (lambda _: None))
    if not (named / DESCRIPTION).exists():
        raise PackageError(
            model,
            f"there is no such folder, and no package of this name in {settings.models_dir}; "
            "give a package's folder, or `demo`",
        )
    return load_package(named)


def _demo(folder: Path, progress: Callable[[str], None]) -> ModelPackage:
    folder.parent.mkdir(parents=True, exist_ok=True)
    # One process builds; the others wait and find it. The lock ends with the process.
    with (folder.parent / f".{DEMO}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (folder / DESCRIPTION).exists():
            package = load_package(folder)
            if package.description.version == DEMO_VERSION:
                return package
        # Imported here: training needs torch, using the finished package does not.
        from wsi_pipeline.demo.training import build_demo_package  # noqa: PLC0415

        with durable.replacing_folder(folder) as fresh:
            build_demo_package(fresh, version=DEMO_VERSION, progress=progress)
        return load_package(folder)
