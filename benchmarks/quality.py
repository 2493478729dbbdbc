"""How well quality control finds planted artefacts: ``python -m benchmarks.quality``.

Slides are drawn for a grid of artefacts and strengths, in every stain, with seeds that the bounds
were not chosen on. A tile of the plan is *affected* where an artefact covers at least half of it,
and *clean* where none covers more than 1 %. Printed as JSON and as a table: for every artefact the
share of affected tiles that are marked at all (recall) and with the right reason; the share of
clean tiles that are marked; and how much of the planted tumour lies under marks, by reason.
"""

import argparse
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from shapely.geometry import Polygon

from wsi_pipeline.geometry import PerAxis, Size
from wsi_pipeline.grid import make_grid
from wsi_pipeline.quality.assessment import assess
from wsi_pipeline.quality.reasons import FACTS, Reason, is_marked
from wsi_pipeline.quality.shares import cell_shares
from wsi_pipeline.slide import open_slide
from wsi_pipeline.slide.resolution import choose_resolution
from wsi_pipeline.synth import STAINS, SynthSpec, artefacts_path, parse_artefacts, write_slide
from wsi_pipeline.tiles.plan import Plan, make_plan

#: What is planted together; few enough that they seldom lie on one another.
SETS = (
    "pen:blue:0.9,pen:green:0.6,blur:1.5um",
    "pen:black:0.6,pen:red:0.9,fold:110um",
    "pen:blue:0.7,pen:yellow:0.9,blur:5um",
    "pen:green:0.9,pen:black:opaque,bubble:1200um",
    "pen:orange:0.9,pen:red:0.8,fold:160um,gap:white:60um",
    "pen:black:0.9,pen:blue:opaque,blur:2.5um,gap:black:40um",
    "defocus:1.5um,fold:80um,coverslip:60um",
    "defocus:2.5um,bubble:700um",
    "defocus:5um,gap:white:120um,bubble:2500um",
    "blur:8um,coverslip:90um,gap:black:120um",
    "",
)
#: Seeds that reports are of; the bounds were chosen with lower ones.
SEEDS = (101, 102, 103)
_AFFECTED, _CLEAN = 0.5, 0.01
#: Level-0 px per px that truth is drawn at.
_TRUTH_PX = 16
#: The reasons that name an artefact rightly: focus has two, and a bubble's inside is blurred.
RIGHT: dict[str, Reason] = {
    "pen": Reason.PEN,
    "blur": Reason.BLUR | Reason.OUT_OF_FOCUS,
    "defocus": Reason.BLUR | Reason.OUT_OF_FOCUS,
    "fold": Reason.FOLD,
    "bubble": Reason.BUBBLE | Reason.BLUR | Reason.OUT_OF_FOCUS,
    "coverslip": Reason.BUBBLE,
    "gap": Reason.GAP,
}


@dataclass
class Tally:
    """Counts of tiles, over slides.

    Attributes:
        affected: By artefact.
        marked: Of those, the marked ones.
        right: Of those, the ones with the right reason.
        clean: Clean tiles.
        wrong: Of those, the marked ones, by reason; ``any`` is all.
        tumour: Tumour in the plan's tiles, in tiles; with and without artefact on it.
        lost: Of it what lies under marks, by reason; ``any`` is all.
    """

    affected: Counter[str] = field(default_factory=Counter)
    marked: Counter[str] = field(default_factory=Counter)
    right: Counter[str] = field(default_factory=Counter)
    clean: int = 0
    wrong: Counter[str] = field(default_factory=Counter)
    tumour: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)

    def report(self) -> dict[str, object]:
        """The figures, for JSON."""
        return {
            "recall": {
                name: {
                    "tiles": tiles,
                    "recall": round(self.marked[name] / tiles, 4),
                    "right_reason": round(self.right[name] / tiles, 4),
                }
                for name, tiles in sorted(self.affected.items())
                if tiles
            },
            "recall_all": _share(self.marked.total(), self.affected.total()),
            "clean_tiles": self.clean,
            "clean_marked": {k: _share(v, self.clean) for k, v in sorted(self.wrong.items())},
            "tumour": {
                "under_artefacts": _share(self.tumour["affected"], self.tumour["all"]),
                "marked": {k: _share(v, self.tumour["all"]) for k, v in sorted(self.lost.items())},
                "clean_marked": _share(self.lost["clean"], self.tumour["clean"]),
            },
        }


def _share(part: float, whole: float) -> float:
    return round(part / whole, 4) if whole else 0.0


def judge(slide: Path, plan: Plan, reasons: NDArray[np.uint8], tally: Tally) -> None:
    """Compare the marks of a synthetic slide's tiles with its truth."""
    file, size = (
        artefacts_path(slide),
        Size(plan.grid.level_size.width, plan.grid.level_size.height),
    )
    features = json.loads(file.read_text())["features"] if file.exists() else []
    marked, every = is_marked(reasons), np.zeros(len(plan), np.float32)
    for one in features:
        covered = _covered([Polygon(one["geometry"]["coordinates"][0])], size, plan)
        every = np.maximum(every, covered)
        affected = covered >= _AFFECTED
        facts = one["properties"]
        name = str(facts["asked"])
        tally.affected[name] += int(affected.sum())
        tally.marked[name] += int((affected & marked).sum())
        right = (reasons & int(RIGHT[facts["kind"]])) > 0
        tally.right[name] += int((affected & right).sum())
    clean = every <= _CLEAN
    tally.clean += int(clean.sum())
    tally.wrong["any"] += int((clean & marked).sum())
    _tumour(slide, plan, reasons, clean, tally)
    for reason in Reason:
        tally.wrong[FACTS[reason].key] += int((clean & ((reasons & reason) > 0)).sum())


def _tumour(
    slide: Path, plan: Plan, reasons: NDArray[np.uint8], clean: NDArray[np.bool_], tally: Tally
) -> None:
    """Add how much of the planted tumour lies in marked tiles."""
    # Level 4 has 16 level-0 px a px.
    tumour = tifffile.imread(slide.with_name(f"{slide.stem}_mask.tiff"), key=4) > 0
    shares = cell_shares(tumour, PerAxis(_TRUTH_PX, _TRUTH_PX), plan.grid, plan.cells)
    tally.tumour["all"] += float(shares.sum())  # type: ignore[assignment]
    tally.tumour["clean"] += float(shares[clean].sum())  # type: ignore[assignment]
    tally.tumour["affected"] += float(shares[~clean].sum())  # type: ignore[assignment]
    marked = is_marked(reasons)
    tally.lost["any"] += float(shares[marked].sum())  # type: ignore[assignment]
    tally.lost["clean"] += float(shares[marked & clean].sum())  # type: ignore[assignment]
    for reason in Reason:
        tally.lost[FACTS[reason].key] += float(shares[(reasons & reason) > 0].sum())  # type: ignore[assignment]


def _covered(shapes: Iterable[Polygon], size: Size, plan: Plan) -> NDArray[np.float32]:
    """Share of each tile that polygons of level-0 px cover."""
    image = Image.new("1", (-(-size.width // _TRUTH_PX), -(-size.height // _TRUTH_PX)))
    draw = ImageDraw.Draw(image)
    for one in shapes:
        draw.polygon([(x / _TRUTH_PX, y / _TRUTH_PX) for x, y in one.exterior.coords], fill=1)
    mask, px = np.asarray(image, np.bool_), PerAxis(_TRUTH_PX, _TRUTH_PX)
    return cell_shares(mask, px, plan.grid, plan.cells)


def plan_of(slide: Path) -> tuple[Plan, NDArray[np.uint8]]:
    """Tiles of 299 px at level 0, as the lymph-node model has them, and their reasons."""
    reader = open_slide(slide)
    try:
        resolution = choose_resolution(reader.info, mpp=None, level=0, override=None)
        grid = make_grid(reader.info, resolution, patch=299, stride=299)
        plan = make_plan(reader, grid, min_tissue=0.3, exact=False)
        return plan, assess(reader, plan).reasons
    finally:
        reader.close()


def measure(
    seeds: Sequence[int], side: int, folder: Path, sets: Sequence[str] = SETS
) -> dict[str, object]:
    """Draw all slides and judge them; slides that are there already are not drawn again."""
    total, by_stain = Tally(), {stain: Tally() for stain in STAINS}
    for seed in seeds:
        for index, text in enumerate(sets):
            # Three seeds in a row give every set every stain.
            stain = list(STAINS)[(seed + index) % len(STAINS)]
            slide = folder / f"{stain}-{seed}-{index}-{side}.tiff"
            if not slide.exists():
                spec = SynthSpec(
                    Size(side, side),
                    seed + 17 * index,
                    tissue=0.55,
                    tumour=0.15,
                    stain=stain,
                    artefacts=parse_artefacts([text]),
                )
                write_slide(spec, slide, overwrite=True)
            plan, reasons = plan_of(slide)
            judge(slide, plan, reasons, by_stain[stain])
            judge(slide, plan, reasons, total)
    return {
        "all": total.report(),
        **{f"stain {stain}": tally.report() for stain, tally in by_stain.items()},
    }


def table(report: dict[str, object]) -> str:
    """The figures of all slides, for people."""
    whole: dict[str, dict[str, dict[str, float]]] = report["all"]  # type: ignore[assignment]
    lines = [f"{'artefact':<24}{'tiles':>7}{'recall':>9}{'right':>9}"]
    lines += [
        f"{name:<24}{one['tiles']:>7}{one['recall']:>9.3f}{one['right_reason']:>9.3f}"
        for name, one in whole["recall"].items()
    ]
    lines.append(f"recall of all {whole['recall_all']}")
    lines += [
        f"{name}: clean tiles marked {one['clean_marked']}, tumour {one['tumour']}"  # type: ignore[index]
        for name, one in report.items()
    ]
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS))
    parser.add_argument("--side", type=int, default=8_000, help="of the slides, px")
    parser.add_argument("--folder", type=Path, help="keep the slides here")
    parser.add_argument("--json", action="store_true", help="print JSON, no table")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = asked.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        report = measure(asked.seeds, asked.side, folder)
    sys.stdout.write((json.dumps(report) if asked.json else table(report)) + "\n")


if __name__ == "__main__":
    main()
