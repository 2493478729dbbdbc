"""The screens that a process has loaded, kept: a run asks for one with every slide."""

import functools
from pathlib import Path

from wsi_pipeline.model.package import ModelPackage, load_package
from wsi_pipeline.model.screen_section import SCREEN
from wsi_pipeline.screen.network import Screen


def screen_of(package: ModelPackage) -> Screen | None:
    """The screen of a package, ready to be asked; None where it has none.

    Raises:
        PackageError: its file is damaged.
    """
    if package.description.screen is None:
        return None
    return _loaded(package.folder.resolve(), package.sha256)


@functools.lru_cache(maxsize=2)
def _loaded(folder: Path, sha256: str) -> Screen:
    arrays = load_package(folder, expect=sha256, only=(SCREEN,)).screen()
    assert arrays is not None  # the package says that it has one
    return Screen(arrays, folder)
