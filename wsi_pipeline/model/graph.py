"""A package's OpenVINO graph, kept beside its files, for machines without torch.

It can be made once, where torch is installed (``wsi models convert``), and travel with the package.
A runtime that uses it has to reproduce the package's reference as any other.
"""

from pathlib import Path

from wsi_pipeline.model.carried import Carried
from wsi_pipeline.model.package import ModelPackage

#: Bump when the way weights become a graph changes; graphs of other revisions are not used.
GRAPH_REVISION = 1
_MODEL, _WEIGHTS = "fp32.xml", "fp32.bin"
_GRAPH = Carried(
    folder="openvino",
    stated="graph.json",
    files=(_MODEL, _WEIGHTS),
    revision=GRAPH_REVISION,
    what="OpenVINO graph",
    remedy="run `wsi models convert` where torch is installed",
)


def find_graph(package: ModelPackage) -> Path | None:
    """The graph a package carries, an ``.xml`` with its ``.bin`` beside it; None if it has none.

    Raises:
        PackageError: it is damaged, of another package, or of another revision.
    """
    folder = _GRAPH.find(package)
    return None if folder is None else folder / _MODEL


def keep_graph(package: ModelPackage, made: Path) -> Path:
    """Put a graph into a package's folder, whole or not at all, in the place of an earlier one.

    Args:
        package: The model.
        made: The graph of it, an ``.xml`` with its ``.bin`` beside it.

    Returns:
        The folder.
    """
    return _GRAPH.keep(package, {_MODEL: made, _WEIGHTS: made.with_suffix(".bin")})
