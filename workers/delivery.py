"""Putting results where people look for them: beside their slides, whole or not at all."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

from wsi_pipeline import durable
from wsi_pipeline.errors import WsiError
from wsi_pipeline.stitch.layout import ATTRIBUTES


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
        raise InTheWayError(f"{target.name} exists already and is not a result; move it away")
    target.parent.mkdir(parents=True, exist_ok=True)
    with durable.replacing_folder(target) as new:
        shutil.copytree(source, new, dirs_exist_ok=True)
        os.utime(new)  # which took the age of the source; by its own others see that it is in use


def deliver_failure(target: Path, job_id: str | None, problem: dict[str, Any]) -> None:
    """Write why a slide has no result; the file appears whole.

    Raises:
        OSError: it cannot be written.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    told = json.dumps({"job_id": job_id, "problem": problem}, indent=2)
    durable.write_text(target, told + "\n")


def _is_result(path: Path) -> bool:
    try:
        attributes = json.loads((path / "zarr.json").read_text(encoding="utf-8"))["attributes"]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return isinstance(attributes, dict) and ATTRIBUTES in attributes
