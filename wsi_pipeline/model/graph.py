"""A package's OpenVINO graph, kept beside its files, for machines without torch.

Only torch can turn the weights into the graph, and torch with what it brings is ten times larger
than the rest of what analyses on a CPU. So the graph can be made once, where torch is installed
(``wsi models convert``), and travel with the package in a folder of its own. It is no part of what
``model.yaml`` pins: a package has the same hash with it and without it. The graph states for which
package it was made and the SHA-256 of its files, and a runtime that uses it has to reproduce the
package's reference as any other.
"""

import hashlib
import json
import shutil
from pathlib import Path

from wsi_pipeline.errors import PackageError
from wsi_pipeline.model.package import ModelPackage

#: Bump when the way weights become a graph changes; graphs of other revisions are not used.
GRAPH_REVISION = 1
#: In the package's folder.
_FOLDER = "openvino"
_STATED = "graph.json"
_MODEL, _WEIGHTS = "fp32.xml", "fp32.bin"
_REMEDY = "run `wsi models convert` where torch is installed"


def find_graph(package: ModelPackage) -> Path | None:
    """The graph a package carries, an ``.xml`` with its ``.bin`` beside it; None if it has none.

    Raises:
        PackageError: it is damaged, of another package, or of another revision.
    """
    folder = package.folder / _FOLDER
    if not folder.is_dir():
        return None
    try:
        stated = json.loads((folder / _STATED).read_text(encoding="utf-8"))
        found = {name: _sha256(folder / name) for name in (_MODEL, _WEIGHTS)}
        of, revision, files = stated["package"], stated["revision"], stated["files"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PackageError(
            package.folder, f"its OpenVINO graph cannot be read ({error}); {_REMEDY}"
        ) from error
    if (of, revision) != (package.sha256, GRAPH_REVISION):
        raise PackageError(
            package.folder, f"its OpenVINO graph is of another package or version; {_REMEDY}"
        )
    if files != found:
        raise PackageError(package.folder, f"its OpenVINO graph was altered; {_REMEDY}")
    return folder / _MODEL


def keep_graph(package: ModelPackage, made: Path) -> Path:
    """Put a graph into a package's folder, whole or not at all, in the place of an earlier one.

    Args:
        package: The model.
        made: The graph of it, an ``.xml`` with its ``.bin`` beside it.

    Returns:
        The folder.
    """
    folder = package.folder / _FOLDER
    new, old = (folder.with_name(f".{_FOLDER}.{state}") for state in ("new", "old"))
    for leftover in (new, old):
        shutil.rmtree(leftover, ignore_errors=True)
    new.mkdir()
    shutil.copyfile(made, new / _MODEL)
    shutil.copyfile(made.with_suffix(".bin"), new / _WEIGHTS)
    stated = {
        "package": package.sha256,
        "revision": GRAPH_REVISION,
        "files": {name: _sha256(new / name) for name in (_MODEL, _WEIGHTS)},
    }
    (new / _STATED).write_text(f"{json.dumps(stated, indent=1)}\n", encoding="utf-8")
    if folder.exists():
        folder.rename(old)
    new.rename(folder)
    shutil.rmtree(old, ignore_errors=True)
    return folder


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
