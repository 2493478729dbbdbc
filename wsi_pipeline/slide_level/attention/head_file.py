"""``slide-level.safetensors``: the trained networks of a package, several of one design."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy
from numpy.typing import NDArray
from pydantic import ValidationError

from wsi_pipeline.errors import PackageError
from wsi_pipeline.slide_level.attention.design import HeadDesign
from wsi_pipeline.slide_level.attention.forward import Weights
from wsi_pipeline.slide_level.calibration import SlideCalibration

HEADS = "slide-level.safetensors"
#: Networks that a package keeps, at most: each is asked of every slide.
MOST_MEMBERS = 25
_DESIGN, _CALIBRATION = "design", "calibration"


@dataclass(frozen=True, slots=True)
class Heads:
    """Trained networks.

    Attributes:
        design: Of all of them.
        members: The weights of each, float32, without what only training needs.
    """

    design: HeadDesign
    members: tuple[Weights, ...]


def save_heads(path: Path, heads: Heads, calibration: SlideCalibration | None = None) -> None:
    """Write networks, and how their scores become probabilities; the same give the same bytes.

    Raises:
        OSError: they cannot be written.
    """
    tensors: dict[str, NDArray[Any]] = {
        f"{number}.{name}": np.ascontiguousarray(array, np.float32)
        for number, member in enumerate(heads.members)
        for name, array in member.items()
    }
    if calibration is not None:
        tensors |= {
            f"{_CALIBRATION}.slope": np.array([calibration.slope], np.float64),
            f"{_CALIBRATION}.offsets": np.ascontiguousarray(calibration.offsets, np.float64),
            f"{_CALIBRATION}.drawn": np.ascontiguousarray(calibration.drawn, np.float64),
        }
    # One entry: the order of several differs from run to run, and equal networks are equal files.
    told = {_DESIGN: heads.design.model_dump_json()}
    path.write_bytes(safetensors.numpy.save(tensors, metadata=told))


def load_heads(path: Path) -> tuple[Heads, SlideCalibration | None]:
    """Read what :func:`save_heads` wrote.

    Raises:
        PackageError: it cannot be read, or holds something else.
    """
    try:
        with safetensors.safe_open(path, "np") as file:
            told = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
        design = HeadDesign.model_validate_json(told[_DESIGN])
        members = [
            {
                name.removeprefix(f"{number}."): array
                for name, array in arrays.items()
                if name.startswith(f"{number}.")
            }
            for number in range(len({name.split(".")[0] for name in arrays} - {_CALIBRATION}))
        ]
        calibration = _calibration(arrays)
    except (OSError, safetensors.SafetensorError, KeyError, ValueError, ValidationError) as error:
        raise PackageError(
            path, f"holds no slide-level networks that can be read: {error}; train the package anew"
        ) from error
    _check(path, design, members)
    return Heads(design, tuple(members)), calibration


def _calibration(arrays: Mapping[str, NDArray[Any]]) -> SlideCalibration | None:
    if f"{_CALIBRATION}.slope" not in arrays:
        return None
    slope, offsets, drawn = (
        arrays[f"{_CALIBRATION}.{name}"] for name in ("slope", "offsets", "drawn")
    )
    return SlideCalibration(float(slope[0]), offsets, drawn)


def shapes(design: HeadDesign) -> dict[str, tuple[int, ...]]:
    """Every array of a network of a design, by its name."""
    width, outputs = design.hidden, design.outputs
    found: dict[str, tuple[int, ...]] = {
        "stem.weight": (width, design.features),
        "stem.bias": (width,),
        "out.weight": (outputs, width),
        "out.bias": (outputs,),
    }
    if design.kind in ("abmil", "clam-sb"):
        for name, (rows, columns) in {
            "tanh": (design.attention, width),
            "gate": (design.attention, width),
            "weigh": (1, design.attention),
        }.items():
            found |= {f"{name}.weight": (rows, columns), f"{name}.bias": (rows,)}
    if design.kind == "transmil":
        found |= {"token": (1, width), "norm.weight": (width,), "norm.bias": (width,)}
        for layer in ("first", "second"):
            found |= {
                f"{layer}.norm.weight": (width,),
                f"{layer}.norm.bias": (width,),
                f"{layer}.queries.weight": (3 * width, width),
                f"{layer}.mix.weight": (width, width),
                f"{layer}.mix.bias": (width,),
            }
        for number, side in enumerate((7, 5, 3)):
            found |= {
                f"places.{number}.weight": (width, 1, side, side),
                f"places.{number}.bias": (width,),
            }
    return found


def _check(path: Path, design: HeadDesign, members: Sequence[Weights]) -> None:
    expected = shapes(design)
    for number, member in enumerate(members):
        found = {name: array.shape for name, array in member.items()}
        if found != expected:
            other = min(set(found.items()) ^ set(expected.items()))[0]
            raise PackageError(path, f"network {number} lacks {other}, or has it otherwise")
        if not all(np.isfinite(array).all() for array in member.values()):
            raise PackageError(path, f"network {number} holds values that are not finite")
    if not 1 <= len(members) <= MOST_MEMBERS:
        raise PackageError(path, f"holds {len(members)} networks, not 1 to {MOST_MEMBERS}")
