"""Files made from a package that travel with it in a folder of its own, and are no part of it.

Only torch can turn weights into what other runtimes take, and torch with what it brings is ten
times larger than those. So such files are made once, where torch is installed, and kept beside the
package's own. They are no part of what ``model.yaml`` pins: a package has the same hash with and
without them. They state for which package they were made and the SHA-256 of each of them.
"""

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from wsi_pipeline.errors import PackageError
from wsi_pipeline.model.package import ModelPackage


@dataclass(frozen=True, slots=True)
class Carried:
    """One kind of such files.

    Attributes:
        folder: In the package's folder.
        stated: File in it that states what they were made of.
        files: Their names.
        revision: Files of other revisions are not used.
        what: What errors call them.
        remedy: What errors tell to do.
    """

    folder: str
    stated: str
    files: tuple[str, ...]
    revision: int
    what: str
    remedy: str

    def find(self, package: ModelPackage) -> Path | None:
        """The folder with the files; None if the package carries none.

        Raises:
            PackageError: they are damaged, of another package, or of another revision.
        """
        folder = package.folder / self.folder
        if not folder.is_dir():
            return None
        try:
            stated = json.loads((folder / self.stated).read_text(encoding="utf-8"))
            found = {name: _sha256(folder / name) for name in self.files}
            of, revision, files = stated["package"], stated["revision"], stated["files"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise PackageError(
                package.folder, f"its {self.what} cannot be read ({error}); {self.remedy}"
            ) from error
        if (of, revision) != (package.sha256, self.revision):
            raise PackageError(
                package.folder, f"its {self.what} is of another package or version; {self.remedy}"
            )
        if files != found:
            raise PackageError(package.folder, f"its {self.what} was altered; {self.remedy}")
        return folder

    def keep(self, package: ModelPackage, made: Mapping[str, Path]) -> Path:
        """Put files into a package's folder, all or none, in the place of earlier ones.

        Args:
            package: The model.
            made: The files, by the names they get.

        Returns:
            The folder.
        """
        folder = package.folder / self.folder
        new, old = (folder.with_name(f".{self.folder}.{state}") for state in ("new", "old"))
        for leftover in (new, old):
            shutil.rmtree(leftover, ignore_errors=True)
        new.mkdir()
        for name in self.files:
            shutil.copyfile(made[name], new / name)
        stated = {
            "package": package.sha256,
            "revision": self.revision,
            "files": {name: _sha256(new / name) for name in self.files},
        }
        (new / self.stated).write_text(f"{json.dumps(stated, indent=1)}\n", encoding="utf-8")
        if folder.exists():
            folder.rename(old)
        new.rename(folder)
        shutil.rmtree(old, ignore_errors=True)
        return folder


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
