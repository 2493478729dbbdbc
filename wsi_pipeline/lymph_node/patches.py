"""The real patches a head is fitted on: where they lie, what they show, how each is varied."""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from wsi_pipeline.errors import CohortError
from wsi_pipeline.lymph_node.network import CELL_PX, PATCH_PX, SEEN_PX
from wsi_pipeline.training.augment import recolour

Patches = NDArray[np.uint8]

#: px at 0.972 µm/px that a patch of 256 px at 0.243 µm/px comes to.
_FINE_PX = 64
#: Ranges of each colour's change: see `training.sampling.Epoch.colours`.
_LOW = np.array([-0.06, 0.85, -0.02, 0.85, 0.8, 0.8, 0.9, -0.03, -0.03, -0.02])
_HIGH = np.array([0.06, 1.15, 0.02, 1.15, 1.25, 1.25, 1.1, 0.03, 0.03, 0.02])
#: Smallest side that a varied patch is reduced to before it is enlarged again.
_COARSEST_PX = 64


@dataclass(frozen=True, slots=True)
class RealPatches:
    """Patches of one source.

    Attributes:
        source: Its name.
        pixels: ``(n, 96, 96, 3)`` RGB at 0.972 µm/px.
        tumour: True where tumour, ``(n,)``.
        group: What must stay on one side of a split: an overlap group or a slide, ``(n,)``.
    """

    source: str
    pixels: Patches
    tumour: NDArray[np.bool_]
    group: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.tumour)

    def only(self, chosen: NDArray[np.int64]) -> "RealPatches":
        """Some of them, by their numbers."""
        group = tuple(self.group[index] for index in chosen)
        return RealPatches(self.source, self.pixels[chosen], self.tumour[chosen], group)


def read_pcam(folder: Path, limit: int | None = None) -> RealPatches:
    """PatchCamelyon: ``patches.csv`` with file, label and overlap group.

    Args:
        folder: Holds ``patches.csv``, ``tumour`` and ``normal``.
        limit: Only so many patches of either class, the first by name.

    Raises:
        CohortError: the table or a patch cannot be read.
    """
    table = folder / "patches.csv"
    try:
        with table.open(newline="", encoding="utf-8") as file:
            rows = sorted(csv.DictReader(file), key=lambda row: row["file"])
        kept = [
            row
            for label in ("normal", "tumour")
            for row in [one for one in rows if one["label"] == label][:limit]
        ]
        pixels = [_read(folder / row["file"], SEEN_PX) for row in kept]
    except (OSError, KeyError, ValueError) as error:
        raise CohortError(table, f"cannot be read: {error}") from error
    return RealPatches(
        "pcam",
        np.stack(pixels),
        np.array([row["label"] == "tumour" for row in kept]),
        tuple(row["overlap_group"] or row["file"] for row in kept),
    )


def read_lymph_node(folder: Path) -> RealPatches:
    """Patches of 256 px at 0.243 µm/px, named ``tumor_SLIDE_X_Y.png``; reduced fourfold.

    They are smaller than the field of the model: their own mirror image surrounds them.

    Raises:
        CohortError: there are none, or one cannot be read.
    """
    files = sorted(folder.glob("*/*.png"))
    if not files:
        raise CohortError(folder, "holds no patches; give the folder of the real patches")
    margin = (SEEN_PX - _FINE_PX) // 2
    border = ((margin, margin), (margin, margin), (0, 0))
    try:
        pixels = [np.pad(_read(file, _FINE_PX), border, mode="symmetric") for file in files]
    except (OSError, ValueError) as error:
        raise CohortError(folder, f"cannot be read: {error}") from error
    return RealPatches(
        "lymph-node",
        np.stack(pixels),
        np.array([file.parent.name == "tumour" for file in files]),
        tuple(file.name.split("_")[1] for file in files),
    )


def varied(pixels: Patches, view: int) -> Patches:
    """Patches turned, reduced and enlarged again, and restained; view 0 leaves them.

    Every number is drawn from the view and the patch's place alone.

    Args:
        pixels: ``(n, 96, 96, 3)``.
        view: 0 or more.
    """
    if view == 0:
        return pixels
    rng = np.random.default_rng([11, view])
    turned = np.empty_like(pixels)
    for index, patch in enumerate(pixels):
        turns, mirror = int(rng.integers(4)), bool(rng.integers(2))
        side = int(rng.integers(_COARSEST_PX, SEEN_PX + 1))
        one = np.rot90(patch[:, ::-1] if mirror else patch, turns)
        if rng.random() < 0.5:
            image = Image.fromarray(np.ascontiguousarray(one))
            image = image.resize((side, side), Image.Resampling.BILINEAR)
            one = np.asarray(image.resize((SEEN_PX, SEEN_PX), Image.Resampling.BICUBIC))
        turned[index] = one
    colours = torch.from_numpy(rng.uniform(_LOW, _HIGH, (len(pixels), 10)).astype(np.float32))
    values = torch.from_numpy(turned).permute(0, 3, 1, 2).float()
    found = recolour(values, colours).round().byte().permute(0, 2, 3, 1)
    return found.contiguous().numpy()


def placed(
    pixels: Patches, view: int, fold: NDArray[np.int64]
) -> tuple[Patches, NDArray[np.int64]]:
    """Patches within larger ones, as they are seen on a slide: anywhere in them, with neighbours.

    In even views a patch goes on as its own mirror image, in odd ones other patches of its fold lie
    around it, so that the head learns not to rely on what is far from its cell.

    Args:
        pixels: ``(n, 96, 96, 3)``.
        view: 0 or more.
        fold: Of each patch, ``(n,)``.

    Returns:
        ``(n, 160, 160, 3)``, and the row and column of the cell that the label speaks of among the
        inner three by three, ``(n, 2)``.
    """
    rng = np.random.default_rng([12, view])
    cells = rng.integers(0, 3, (len(pixels), 2))
    margin = PATCH_PX - SEEN_PX
    out = np.empty((len(pixels), PATCH_PX, PATCH_PX, 3), np.uint8)
    members = {int(number): np.flatnonzero(fold == number) for number in np.unique(fold)}
    for index, (row, column) in enumerate(cells):
        if view % 2:
            around = pixels[rng.choice(members[int(fold[index])], 9)]
            around[4] = pixels[index]
            wide = around.reshape(3, 3, SEEN_PX, SEEN_PX, 3).transpose(0, 2, 1, 3, 4)
            wide = wide.reshape(3 * SEEN_PX, 3 * SEEN_PX, 3)
            top, left = SEEN_PX - CELL_PX * row, SEEN_PX - CELL_PX * column
        else:
            border = ((margin, margin), (margin, margin), (0, 0))
            wide = np.pad(pixels[index], border, mode="symmetric")
            top, left = margin - CELL_PX * row, margin - CELL_PX * column
        out[index] = wide[top : top + PATCH_PX, left : left + PATCH_PX]
    return out, cells


def _read(path: Path, side: int) -> Patches:
    with Image.open(path) as image:
        rgb = image.convert("RGB")
        if rgb.size != (side, side):
            rgb = rgb.resize((side, side), Image.Resampling.BOX)
        return np.asarray(rgb)
