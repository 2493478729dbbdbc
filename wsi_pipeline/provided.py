"""Finding model packages by path or name, and building those that come with the program.

``lymph-node`` knows real lymph-node tissue and is the default. ``demo`` knows drawings, and serves
tests and synthetic slides.
"""

import fcntl
from collections.abc import Callable
from pathlib import Path

from wsi_pipeline import durable
from wsi_pipeline.demo import DEMO, DEMO_VERSION
from wsi_pipeline.errors import PackageError
from wsi_pipeline.lymph_node import LYMPH_NODE, LYMPH_NODE_VERSION
from wsi_pipeline.model.package import DESCRIPTION, ModelPackage, load_package
from wsi_pipeline.settings import Settings

#: Packages that come with the program, and the version of each.
PROVIDED = {LYMPH_NODE: LYMPH_NODE_VERSION, DEMO: DEMO_VERSION}


def find_or_build(
    model: str, settings: Settings, progress: Callable[[str], None] | None = None
) -> ModelPackage:
    """The package a user means by a path or a name.

    Args:
        model: A folder with a ``model.yaml``, or the name of a package in the models folder.
        settings: Say where the models folder is.
        progress: Told what is being done when a package that comes with the program is built.

    Raises:
        PackageError: there is none, or it is not valid.
    """
    folder = Path(model)
    if (folder / DESCRIPTION).exists() or folder.is_absolute() or len(folder.parts) > 1:
        return load_package(folder)
    named = settings.models_dir / model
    if model in PROVIDED:
        return _provided(named, progress or (lambda _: None))
    if not (named / DESCRIPTION).exists():
        raise PackageError(
            model,
            f"there is no such folder, and no package of this name in {settings.models_dir}; "
            f"give a package's folder, or one of {', '.join(PROVIDED)}",
        )
    return load_package(named)


def is_built(name: str, models_dir: Path) -> bool:
    """Whether a package that comes with the program is there, sound, in this version."""
    try:
        package = load_package(models_dir / name)
    except PackageError:
        return False
    return package.description.version == PROVIDED[name]


def _provided(folder: Path, progress: Callable[[str], None]) -> ModelPackage:
    name, version = folder.name, PROVIDED[folder.name]
    folder.parent.mkdir(parents=True, exist_ok=True)
    # One process builds; the others wait and find it. The lock ends with the process.
    with (folder.parent / f".{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (folder / DESCRIPTION).exists():
            package = load_package(folder)
            if package.description.version == version:
                return package
        with durable.replacing_folder(folder) as fresh:
            _build(name, fresh, progress)
        return load_package(folder)


def _build(name: str, folder: Path, progress: Callable[[str], None]) -> None:
    def told(what: str) -> None:
        progress(f"building the model {name} (once): {what}")

    # Imported here: building needs torch, using the finished package does not.
    if name == DEMO:
        from wsi_pipeline.demo.training import build_demo_package  # noqa: PLC0415

        build_demo_package(folder, version=DEMO_VERSION, progress=told)
        return
    from wsi_pipeline.lymph_node.package import build_lymph_node_package  # noqa: PLC0415

    build_lymph_node_package(folder, version=LYMPH_NODE_VERSION, progress=told)
