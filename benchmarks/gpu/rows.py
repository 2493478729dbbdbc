"""Rows of a measurement, on disk after each, so that a limit that ends it loses nothing."""

import json
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from wsi_pipeline import durable

#: In the place of every figure that needs a GPU, where there is none.
NOT_MEASURED = "not measured"
#: In the place of figures of a library that is not there.
NOT_INSTALLED = "not installed"


class Rows:
    """The rows of one step.

    Args:
        path: JSON file, written anew after each row.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._rows: dict[str, Any] = {}
        self.failed = False

    def keep(self, name: str, figures: Any) -> None:
        """Add a row."""
        self._rows[name] = figures
        write_json(self._path, self._rows)

    def measure(self, name: str, measure: Callable[[], Any]) -> None:
        """Add what is measured; if it fails, the error in its place, and go on."""
        try:
            figures = measure()
        except Exception as error:  # the other rows are still wanted
            self.failed = True
            traceback.print_exc()
            figures = {"error": f"{type(error).__name__}: {error}"}
        self.keep(name, figures)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Replace a file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with durable.replacing(path) as fresh:
        fresh.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def read_json(path: Path) -> dict[str, Any]:
    """What is there; nothing where nothing was written yet."""
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return content
