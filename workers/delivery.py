"""Putting results where people look for them: beside their slides, whole or not at all."""

import json
import os
import secrets
import shutil
import time
from pathlib import Path
from typing import Any

from wsi_pipeline.errors import WsiError
from wsi_pipeline.stitch.layout import ATTRIBUTES

#: What a delivery that was killed left behind is removed after so long, seconds.
_LEFTOVER_SECONDS = 3600.0


class InTheWayError(WsiError):
    """Something that is not a result has the result's name."""


def deliver_tree(source: Path, target: Path) -> None:
    """Copy a result to its place; readers see the one before, none, or all of the new one.

    Args:
        source: The store.
        target: Its place; an earlier result there is replaced.

    Raises:
        InTheWayError: something else is there.
        OSError: it cannot be written.
    """
    if target.exists() and not _is_result(target):
        raise InTheWayError(f"{target.name} is there already and is not a result; move it away")
    target.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(target)
    token = secrets.token_hex(4)
    new = target.with_name(f".{target.name}.{token}.new")
    old = target.with_name(f".{target.name}.{token}.old")
    try:
        shutil.copytree(source, new)
        _sync(new)
        if target.exists():
            target.rename(old)
        new.rename(target)
        _sync_folder(target.parent)
    finally:
        shutil.rmtree(new, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def deliver_failure(target: Path, job_id: str | None, problem: dict[str, Any]) -> None:
    """Write why a slide has no result; the file appears whole.

    Raises:
        OSError: it cannot be written.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    new = target.with_name(f".{target.name}.{secrets.token_hex(4)}.new")
    try:
        with new.open("w", encoding="utf-8") as file:
            json.dump({"job_id": job_id, "problem": problem}, file, indent=2)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        new.replace(target)
    finally:
        new.unlink(missing_ok=True)


def _is_result(path: Path) -> bool:
    try:
        attributes = json.loads((path / "zarr.json").read_text(encoding="utf-8"))["attributes"]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return isinstance(attributes, dict) and ATTRIBUTES in attributes


def _remove_leftovers(target: Path) -> None:
    limit = time.time() - _LEFTOVER_SECONDS
    for kind in ("new", "old"):
        for path in target.parent.glob(f".{_literal(target.name)}.*.{kind}"):
            if path.stat().st_mtime < limit:
                shutil.rmtree(path, ignore_errors=True)


def _literal(name: str) -> str:
    """A name as a glob pattern that matches only itself."""
    return "".join(f"[{c}]" if c in "*?[" else c for c in name)


def _sync(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
    for path in (folder, *(p for p in folder.rglob("*") if p.is_dir())):
        _sync_folder(path)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
