"""Planted ink and blur on real tissue: ``python -m benchmarks.quality_patches FOLDER``.

Real patches of lymph node at about 1 µm/px (PatchCamelyon) are laid side by side as a slide of
24 × 24 patches, with glass around it. PatchCamelyon mixes laboratories, a slide does not: patches
are sorted by how much blue density their tissue has beside green density, and a slide takes
neighbours. Ink or blur is put over a band of four rows. A tile of the plan is one patch. Printed:
the share of the band's tiles that are marked, and of all others but the rows next to it. Patches
that lie side by side here did not lie so in the tissue: a dense one between paler ones looks like a
fold, so that marks for folds are not counted.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from wsi_pipeline.grid import make_grid
from wsi_pipeline.quality.assessment import assess
from wsi_pipeline.quality.reasons import Reason, is_marked
from wsi_pipeline.slide import open_slide
from wsi_pipeline.slide.resolution import choose_resolution
from wsi_pipeline.synth.inks import PEN_COLOURS
from wsi_pipeline.testing import write_pyramid
from wsi_pipeline.tiles.plan import make_plan

_SIDE, _BAND, _UM = 24, (9, 13), 0.972
_INK = (0.6, 0.75, 0.9)
_BLUR_UM = (1.5, 2.5, 5.0, 8.0)
#: Patches with a lighter mean are mostly glass.
_TISSUE = 205
_GLASS = 240


def sorted_patches(folder: Path) -> list[Path]:
    """Patches of tissue, by their share of blue in the optical density."""
    found: list[tuple[float, Path]] = []
    for file in sorted(folder.rglob("*.png")):
        patch = np.asarray(Image.open(file).convert("RGB")).astype(np.float32)
        if patch.mean() < _TISSUE:
            _, green, blue = -np.log10((patch.mean(axis=(0, 1)) + 1) / 241)
            found.append((float(blue / green), file))
    if len(found) < _SIDE**2:
        raise SystemExit(f"{folder}: fewer than {_SIDE**2} patches of tissue")
    return [file for _, file in sorted(found)]


def mosaic(files: list[Path], seed: int) -> NDArray[np.uint8]:
    """Patches of one place of the order, mixed: uint8 ``(26 · side, 26 · side, 3)``."""
    rng = np.random.default_rng(seed)
    first = int(rng.integers(len(files) - _SIDE**2 + 1))
    chosen = rng.permutation(_SIDE**2) + first
    patches = [np.asarray(Image.open(files[index]).convert("RGB")) for index in chosen]
    rows = [np.concatenate(patches[n : n + _SIDE], 1) for n in range(0, _SIDE**2, _SIDE)]
    side = patches[0].shape[0]
    around = ((side, side), (side, side), (0, 0))
    return np.pad(np.concatenate(rows), around, constant_values=_GLASS)


def judge(image: NDArray[np.uint8], band: NDArray[np.uint8] | None, path: Path) -> list[float]:
    """Shares of marked tiles: in the band, and away from it."""
    side = image.shape[0] // (_SIDE + 2)
    top, end = (row * side for row in _BAND)
    shown = image.copy()
    if band is not None:
        shown[top:end] = band[top:end]
    write_pyramid(path, shown, mpp=_UM, compression="jpeg", downsamples=(1, 4))
    reader = open_slide(path)
    try:
        resolution = choose_resolution(reader.info, mpp=None, level=0, override=None)
        grid = make_grid(reader.info, resolution, patch=side, stride=side)
        plan = make_plan(reader, grid, min_tissue=0.3, exact=False)
        marked = is_marked(assess(reader, plan).reasons & ~np.uint8(Reason.FOLD))
    finally:
        reader.close()
    rows = plan.cells[:, 1]
    inside = (rows >= _BAND[0]) & (rows < _BAND[1])
    away = (rows < _BAND[0] - 1) | (rows > _BAND[1])
    return [float(marked[inside].mean()), float(marked[away].mean())]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("folder", type=Path, help="PNG patches of tissue, 0.97 µm/px")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    asked = parser.parse_args()
    files = sorted_patches(asked.folder)
    found: dict[str, list[list[float]]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / "patches.tiff"
        for seed in asked.seeds:
            image = mosaic(files, seed)
            found.setdefault("nothing", []).append(judge(image, None, path))
            for colour, light in PEN_COLOURS.items():
                for strength in _INK:
                    ink = 1 - strength * (1 - np.asarray(light))
                    band = (image * ink).astype(np.uint8)
                    found.setdefault(f"pen {colour} {strength}", []).append(
                        judge(image, band, path)
                    )
            for um in _BLUR_UM:
                soft = Image.fromarray(image).filter(ImageFilter.GaussianBlur(um / _UM))
                found.setdefault(f"blur {um} µm", []).append(judge(image, np.asarray(soft), path))
    for name, shares in found.items():
        inside, away = np.mean(shares, axis=0)
        sys.stdout.write(f"{name:<20}{inside:>8.3f}{away:>8.3f}\n")


if __name__ == "__main__":
    main()
