"""Files and folders that appear under their names whole and durable, or not at all.

What is written goes to a draft beside its name, a hidden ``.NAME.TOKEN.new`` that nobody else
uses. The draft is flushed to the disk and takes the name in one step, and the folder that holds
the name is flushed too. So readers see the old content or the new one, never a part, after a power
cut as well. A full disk, an error or an interruption removes the draft and leaves the old content
as it was. The draft of a killed process stays; the next writer of the same name removes it once it
is an hour old.

Errors are those of the system (:class:`OSError`); callers say what they mean.
"""

import errno
import os
import re
import secrets
import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

#: A draft that nobody has written to for so long is of a process that was killed, s.
LEFTOVER_SECONDS = 3600.0
#: Bytes of a name that a draft's name repeats: file systems take 255 for all of it.
_NAME_BYTES = 200
#: What file systems without hard links, or without flushing of folders, answer.
_NOT_OFFERED = frozenset({errno.EPERM, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP})
_IN_THE_WAY = frozenset({errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR})


def write_bytes(
    path: Path, data: bytes | memoryview, *, replace: bool = True, mode: int | None = None
) -> None:
    """Write a file; see :func:`replacing` for arguments and errors."""
    with replacing(path, replace=replace, mode=mode) as draft, draft.open("wb") as file:
        file.write(data)


def write_text(path: Path, text: str, *, replace: bool = True, mode: int | None = None) -> None:
    """Write a file as UTF-8, line ends as they are; see :func:`replacing`."""
    write_bytes(path, text.encode(), replace=replace, mode=mode)


@contextmanager
def replacing(path: Path, *, replace: bool = True, mode: int | None = None) -> Iterator[Path]:
    """An empty draft to be written in the block, which takes the name at its end.

    Args:
        path: The name. Its folder must be there. A link is replaced, not what it points to.
        replace: Whether a file of this name may be replaced.
        mode: Permissions of the new file. None: those of the file it replaces, else what the
            process's umask leaves.

    Raises:
        FileExistsError: there is a file and it may not be replaced; also one that came meanwhile.
        OSError: it cannot be written; what was there is still there.
    """
    draft = _beside(path, "new")
    try:
        _create(draft, path, mode)
        yield draft
        put_in_place(draft, path, replace=replace)
    finally:
        with suppress(OSError):  # the error that brought us here is the one to tell
            draft.unlink(missing_ok=True)


def put_in_place(draft: Path, path: Path, *, replace: bool = True) -> None:
    """Give a complete file its name, on the same file system, and make both durable.

    Raises:
        FileExistsError: there is a file and it may not be replaced.
        OSError: it did not work; what was there is still there.
    """
    sync(draft)
    if replace:
        draft.replace(path)
    else:
        _name_once(draft, path)
    _sync_parent(path)


@contextmanager
def replacing_folder(path: Path, *, replace: bool = True) -> Iterator[Path]:
    """An empty draft folder to be filled in the block, which takes the name at its end.

    Folders above it are made.

    Raises:
        FileExistsError: something has this name and may not be replaced.
        OSError: it cannot be written; what was there is still there.
    """
    draft = _beside(path, "new")
    try:
        draft.mkdir(parents=True)
        yield draft
        sync_tree(draft)
        publish_folder(draft, path, replace=replace)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def publish_folder(draft: Path, path: Path, *, replace: bool = False) -> None:
    """Give a complete folder, whose content is durable, its name; see :func:`sync_tree`.

    One that is replaced is moved aside first and removed at the end: for a moment there is none.

    Args:
        draft: The folder.
        path: Its name, on the same file system. An empty folder there is never in the way.
        replace: Whether a folder of this name may be replaced.

    Raises:
        FileExistsError: something has this name and may not be replaced.
        OSError: it did not work; what was there is still there.
    """
    aside = None
    if replace:
        with suppress(FileNotFoundError):
            aside = path.rename(_beside(path, "old"))
            os.utime(aside)  # by its age others see that it is in use
    try:
        draft.rename(path)
    except OSError as error:
        if aside is not None:
            aside.rename(path)
        if error.errno in _IN_THE_WAY:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from error
        raise
    _sync_parent(path)
    if aside is not None:
        shutil.rmtree(aside, ignore_errors=True)


def sync(path: Path) -> None:
    """Return when the content of a file, or the names in a folder, survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network file systems cannot flush a folder: their server keeps names safe itself.
        if error.errno not in _NOT_OFFERED or not path.is_dir():
            raise
    finally:
        os.close(descriptor)


def sync_tree(folder: Path) -> None:
    """Return when all files below a folder, and their names, survive a power cut."""
    for place, _, files in os.walk(folder, topdown=False):
        for name in files:
            file = Path(place, name)
            if not file.is_symlink():
                sync(file)
        sync(Path(place))


def _create(draft: Path, path: Path, mode: int | None) -> None:
    """Make an empty draft with the permissions that the file will have."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    descriptor = os.open(draft, flags, 0o666 if mode is None else mode)
    try:
        with suppress(FileNotFoundError):
            wanted = stat.S_IMODE(path.stat().st_mode) if mode is None else mode
            if stat.S_IMODE(os.fstat(descriptor).st_mode) != wanted:
                os.fchmod(descriptor, wanted)
    finally:
        os.close(descriptor)


def _name_once(draft: Path, path: Path) -> None:
    """Rename, but only if nothing has the name; renaming itself would replace it."""
    try:
        os.link(draft, path)
    except OSError as error:
        if error.errno not in _NOT_OFFERED:
            raise
        # Without hard links: the name is taken by an empty file first.
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC))
        draft.replace(path)
    else:
        draft.unlink()


def _sync_parent(path: Path) -> None:
    # Who removes what was just put in place may also remove its folder.
    with suppress(FileNotFoundError):
        sync(path.parent)


def _beside(path: Path, kind: str) -> Path:
    """A hidden name of ours in the same folder, cleared of what killed processes left."""
    name = path.name
    while len(os.fsencode(name)) > _NAME_BYTES:
        name = name[:-1]
    leftover = re.compile(rf"\.{re.escape(name)}\.[0-9a-f]{{8}}\.(new|old)")
    with suppress(FileNotFoundError), os.scandir(path.parent) as entries:
        for entry in entries:
            if leftover.fullmatch(entry.name):
                _remove_if_old(Path(entry.path))
    return path.with_name(f".{name}.{secrets.token_hex(4)}.{kind}")


def _remove_if_old(path: Path) -> None:
    # Its owner, or another writer, may be faster; and what cannot be removed harms nobody.
    with suppress(OSError):
        status = path.lstat()
        if time.time() - status.st_mtime > LEFTOVER_SECONDS:
            shutil.rmtree(path) if stat.S_ISDIR(status.st_mode) else path.unlink()
