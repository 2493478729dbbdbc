"""A package as one ONNX file, for programs that are not ours and for browsers.

The file takes what the network is given, ``pixels``: float32 ``(n, 3, side, side)``, RGB of 0-255
after the package's preprocessing, and gives ``probabilities``: ``(n,)`` of a binary model's
positive class, else ``(n, classes)``. Normalisation, calibration and head are part of it. It is
made where torch is installed (``wsi models export``) and travels with the package. Beside it are
the probabilities of :func:`probe_pixels`, by which a program that loads the file can find out
whether it computes rightly.
"""

import json
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.model.carried import Carried
from wsi_pipeline.model.package import ModelPackage

#: Bump when the way packages become ONNX files changes; files of other revisions are not used.
_REVISION = 1
PIXELS, PROBABILITIES = "pixels", "probabilities"
_FILE, _PROBE, _STATED = "network.onnx", "probe.json", "network.json"
_ONNX = Carried(
    folder="onnx",
    stated=_STATED,
    files=(_FILE, _PROBE),
    revision=_REVISION,
    what="ONNX file",
    remedy="run `wsi models export PACKAGE --to onnx` where torch is installed",
)


def carries_onnx(package: ModelPackage) -> bool:
    """Whether there is such a file, sound or not: without reading all of it."""
    return (package.folder / _ONNX.folder / _STATED).is_file()


def find_onnx(package: ModelPackage) -> tuple[Path, list[float]] | None:
    """The ONNX file a package carries and the probabilities of the probe; None if it has none.

    Raises:
        PackageError: it is damaged, of another package, or of another revision.
    """
    folder = _ONNX.find(package)
    if folder is None:
        return None
    probe = json.loads((folder / _PROBE).read_text(encoding="utf-8"))
    return folder / _FILE, cast("list[float]", probe)


def keep_onnx(package: ModelPackage, made: Path, probe: list[float]) -> Path:
    """Put an ONNX file into a package's folder, in the place of an earlier one; returns it.

    Args:
        package: The model.
        made: The file.
        probe: Its probabilities of :func:`probe_pixels`.
    """
    stated = made.with_name(_PROBE)
    stated.write_text(json.dumps(probe), encoding="utf-8")
    return _ONNX.keep(package, {_FILE: made, _PROBE: stated}) / _FILE


def probe_pixels(side: int) -> NDArray[np.uint8]:
    """An image that every program can make for itself, ``(1, side, side, 3)``.

    The value at place ``i``, counted over rows, columns and channels, is
    ``(37 i + 11 floor(i / 8) + floor(i / 1021)) mod 256``.
    """
    place = np.arange(side * side * 3, dtype=np.int64)
    values = (37 * place + 11 * (place // 8) + place // 1021) % 256
    return values.astype(np.uint8).reshape(1, side, side, 3)
