"""A folder as storage: everything is written beside its name, made durable, then renamed."""

import errno
import os
import secrets
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from wsi_pipeline import durable
from wsi_pipeline.errors import UsageError
from wsi_pipeline.storage.keys import (
    MANIFESTS,
    TREE_MANIFEST,
    ZARR_MANIFEST,
    check_key,
    manifest_of,
    tree_files,
)
from wsi_pipeline.storage.storage import StoredFile

#: Where things are until they are complete; no key begins like this.
_NEW = ".new"
#: What a killed process left there is removed after so long, seconds.
_ABANDONED_SECONDS = 86_400.0


class LocalStorage:
    """See :class:`~wsi_pipeline.storage.Storage`. Safe between processes.

    Args:
        root: The folder; made when something is stored.
    """

    def __init__(self, root: Path) -> None:
        self._root = root.absolute()

    def put_file(self, key: str, source: Path, *, move: bool = False) -> None:
        """See :meth:`Storage.put_file`."""
        target = self._path(key)
        if not stat.S_ISREG(source.lstat().st_mode):
            raise UsageError("what is to be stored is no file: a link?")
        if move and self._moved(source, target):
            return
        new = self._new()
        _copy(source, new)
        self._into_place(new, target, durable.put_in_place)
        if move:
            source.unlink()

    def put_tree(self, key: str, source: Path, *, move: bool = False) -> None:
        """See :meth:`Storage.put_tree`."""
        if not self.has_tree(key):
            target, files = self._path(key), list(tree_files(source))
            if not (move and self._tree_moved(source, files, target)):
                new = self._new()
                for name, path in files:
                    (new / name).parent.mkdir(parents=True, exist_ok=True)
                    _copy(path, new / name)
                self._complete(key, new, files, target)
        if move:
            shutil.rmtree(source, ignore_errors=True)

    def has_tree(self, key: str) -> bool:
        """See :meth:`Storage.has_tree`."""
        path = self._path(key)
        return any((path / manifest).is_file() for manifest in MANIFESTS)

    def stat(self, key: str) -> StoredFile | None:
        """See :meth:`Storage.stat`."""
        try:
            found = self._path(key).lstat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        return _stored(key, found) if stat.S_ISREG(found.st_mode) else None

    def read(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        """See :meth:`Storage.read`."""
        if self.stat(key) is None:  # a link or a folder is none either
            raise _absent(key)
        try:
            file = self._path(key).open("rb", buffering=0)
        except FileNotFoundError as error:  # deleted meanwhile
            raise _absent(key) from error
        with file:
            left = max(0, os.fstat(file.fileno()).st_size - start)
            left = left if length is None else min(left, length)
            file.seek(start)
            blocks: list[bytes] = []
            while left > 0 and (block := file.read(left)):
                blocks.append(block)
                left -= len(block)
            return b"".join(blocks)

    def local_path(self, key: str, cache: Path) -> Path:  # noqa: ARG002 - nothing to be copied
        """See :meth:`Storage.local_path`."""
        if self.stat(key) is None and not self.has_tree(key):
            raise _absent(key)
        return self._path(key)

    def delete(self, key: str) -> None:
        """See :meth:`Storage.delete`."""
        path = self._path(key)
        try:
            if stat.S_ISDIR(path.lstat().st_mode):
                # Gone for everybody at once, before its files go one by one.
                away = self._new()
                path.rename(away)
                shutil.rmtree(away, ignore_errors=True)
            else:
                path.unlink()
        except (FileNotFoundError, NotADirectoryError):
            return
        for parent in path.parents:
            if parent == self._root:
                break
            try:
                parent.rmdir()
            except OSError:  # holds other things, or is gone
                break
        _sync(path.parent if path.parent.is_dir() else self._root)

    def check(self) -> None:
        """See :meth:`Storage.check`."""
        new = self._new()
        try:
            new.write_bytes(b"check")
            if new.read_bytes() != b"check":
                raise OSError(errno.EIO, "what was written cannot be read back")
        finally:
            new.unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        return self._root / check_key(key)

    def _new(self) -> Path:
        """A name nobody else uses, on the storage's file system."""
        folder = self._root / _NEW
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.iterdir():
            try:
                if time.time() - left.lstat().st_mtime > _ABANDONED_SECONDS:
                    shutil.rmtree(left) if left.is_dir() else left.unlink()
            except FileNotFoundError:  # its owner, or another cleaner, was faster
                continue
        return folder / secrets.token_hex(16)

    def _moved(self, source: Path, target: Path) -> bool:
        """Move a file; False if it lies on another file system and has to be copied."""
        _stamp(source)
        return self._renamed(lambda: self._into_place(source, target, durable.put_in_place))

    def _tree_moved(self, source: Path, files: list[tuple[str, Path]], target: Path) -> bool:
        """Move a tree; False if it lies on another file system and has to be copied."""
        if source.stat().st_dev != self._device():
            return False
        for _, path in files:
            _stamp(path)
        return self._renamed(lambda: self._complete(target.name, source, files, target))

    def _device(self) -> int:
        self._root.mkdir(parents=True, exist_ok=True)
        return self._root.stat().st_dev

    @staticmethod
    def _renamed(rename: Callable[[], None]) -> bool:
        try:
            rename()
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            return False
        return True

    def _complete(self, key: str, new: Path, files: list[tuple[str, Path]], target: Path) -> None:
        """Give a folder whose files are durable its manifest and its name."""
        if not any(name == ZARR_MANIFEST for name, _ in files):
            manifest = new / TREE_MANIFEST
            manifest.write_text(manifest_of(files))
            _stamp(manifest)
        folders = {folder for name, _ in files for folder in Path(name).parents}
        for folder in sorted(folders | {Path()}):
            durable.sync(new / folder)
        try:
            self._into_place(new, target, durable.publish_folder)
        except FileExistsError as error:
            shutil.rmtree(new, ignore_errors=True)
            if not any((target / name).is_file() for name in MANIFESTS):
                raise UsageError(f"other things are stored below {key!r}") from error

    def _into_place(self, new: Path, target: Path, place: Callable[[Path, Path], None]) -> None:
        while True:
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                place(new, target)
            except FileNotFoundError:
                # The folder may have been removed, being empty, between the two calls.
                if not new.exists():
                    raise
                continue
            break
        folder = target.parent
        while folder != self._root:
            _sync(folder)
            folder = folder.parent
        _sync(self._root)

    # The last one: in a class body its name hides the type.
    def list(self, prefix: str) -> Iterator[StoredFile]:
        """See :meth:`Storage.list`."""
        if prefix:
            yield from _walk(self._path(prefix), prefix + "/")
        else:
            yield from _walk(self._root, "")


def _walk(folder: Path, prefix: str) -> Iterator[StoredFile]:
    """Files in the order of their keys, which is not that of folders: ``a-b`` < ``a/b``."""
    try:
        entries = list(os.scandir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return
    named = [
        (entry.name + "/" if entry.is_dir(follow_symlinks=False) else entry.name, entry)
        for entry in entries
        if entry.name != TREE_MANIFEST and not (prefix == "" and entry.name == _NEW)
    ]
    for name, entry in sorted(named, key=lambda pair: pair[0].encode(errors="surrogateescape")):
        if name.endswith("/"):
            yield from _walk(Path(entry.path), prefix + name)
        elif entry.is_file(follow_symlinks=False):
            try:
                yield _stored(prefix + name, entry.stat(follow_symlinks=False))
            except FileNotFoundError:  # deleted meanwhile
                continue


def _stored(key: str, status: os.stat_result) -> StoredFile:
    etag = f'"{status.st_ino:x}-{status.st_size:x}-{status.st_mtime_ns:x}"'
    return StoredFile(key, status.st_size, etag, status.st_mtime)


def _absent(key: str) -> FileNotFoundError:
    return FileNotFoundError(errno.ENOENT, "nothing is stored under this key", key)


def _copy(source: Path, target: Path) -> None:
    shutil.copyfile(source, target)
    durable.sync(target)


def _stamp(path: Path) -> None:
    """Make a file durable, as written now: it is moved to where its age is looked at."""
    os.utime(path)
    durable.sync(path)


def _sync(folder: Path) -> None:
    with suppress(FileNotFoundError):  # emptied and removed by another process
        durable.sync(folder)
