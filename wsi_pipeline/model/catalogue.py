"""The model packages of a folder, verified once and again only when a file of theirs changed."""

import logging
import threading
from pathlib import Path

from wsi_pipeline.errors import PackageError
from wsi_pipeline.model.package import DESCRIPTION, ModelPackage, load_package

log = logging.getLogger(__name__)

#: Name, size in bytes and time of the last change (ns) of each file.
_State = tuple[tuple[str, int, int], ...]


class EncoderError(PackageError):
    """A package is an encoder's, where an answer for tiles or slides is wanted."""


class ModelCatalogue:
    """Finds packages that answer, for tiles or slides, by the names of their folders.

    Safe to share between threads.

    Holds descriptions only: a few kB for each package. Imports no torch.

    Args:
        folder: Holds the packages' folders; it may be missing.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._known: dict[str, tuple[_State, ModelPackage]] = {}

    def get(self, name: str) -> ModelPackage:
        """One package.

        Raises:
            PackageError: there is none of this name, it is not sound, or it is an encoder's.
        """
        if not self.has(name):
            raise PackageError(name, "no model of this name is installed")
        with self._lock:
            state = _state(self._folder / name)
            known = self._known.get(name)
            if known is None or known[0] != state:
                known = state, load_package(self._folder / name)
                self._known[name] = known
        package = known[1]
        if package.description.has_features_only:
            raise EncoderError(
                name, "is an encoder, which has no classes; the command wsi features uses it"
            )
        return package

    def has(self, name: str) -> bool:
        """Whether there is a package of this name, sound or not."""
        return name in self._names()

    def installed(self) -> list[tuple[str, ModelPackage]]:
        """Names and packages, by name, but for encoders; what is not sound is logged."""
        found = []
        for name in self._names():
            try:
                found.append((name, self.get(name)))
            except EncoderError:
                continue
            except PackageError:
                log.warning("a model package cannot be used", extra={"facts": {"model": name}})
        return found

    def _names(self) -> list[str]:
        try:
            folders = sorted(self._folder.iterdir())
        except FileNotFoundError:
            return []
        # A folder that begins with a dot is still being made.
        return [
            folder.name
            for folder in folders
            if not folder.name.startswith(".") and (folder / DESCRIPTION).is_file()
        ]


def _state(folder: Path) -> _State:
    return tuple(
        (file.name, facts.st_size, facts.st_mtime_ns)
        for file in sorted(folder.iterdir())
        for facts in (file.stat(),)
    )
