"""A screen on slides that it has never seen: what it saves, and what it loses.

``python -m benchmarks.screen`` draws slides of two stains, makes a screen for the demo model with
``wsi models screen`` on some of them, and analyses others with the screen and without it, in turn,
each in a process of its own. It prints and writes to ``build/screen.json``, for slides of which a
tenth of the tissue is tumour (``tenth``), for tumour of about ten tiles (``micro``), for slides
without tumour (``clear``) and for a third stain (``third``):

* ``seconds``, ``seconds_off``: medians over the slides, from the path with the model loaded to the
  result; ``ratio``: the second over the first, of each slide, their median and the least;
* ``tiles``, ``looked_at``: of all slides, and how many of them the model was asked about;
* ``positive``, ``lost``: tiles the model calls positive without the screen, and how many of them
  are not with it; ``lesions``, ``lesions_off``: annotated areas with a positive tile, with the
  screen and without; ``annotated``: all of them;
* ``wrong``, ``failed``: control tiles that are positive, slides analysed again for that;
  ``unscreened``: slides on which the screen was not used.

Under ``made`` is what the package says of each stain; the folder ``report`` beside the results sets
slide AUC, FROC and Dice of both side by side, as ``wsi evaluate --compare`` does.
"""

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import openslide
from numpy.typing import NDArray
from scipy import ndimage

from benchmarks.process import delete_set_aside, run_module
from wsi_pipeline.model.package import ModelPackage, load_package
from wsi_pipeline.model.screen_section import ScreenSection
from wsi_pipeline.provided import find_or_build
from wsi_pipeline.settings import Settings
from wsi_pipeline.stitch.layout import SUFFIX
from wsi_pipeline.stitch.result import Result

#: Share of the tissue that is tumour.
_TENTH, _MICRO = 0.1, 0.008
_MADE_OF, _KINDS = ("a", "b"), {"tenth": _TENTH, "micro": _MICRO, "clear": 0.0}
_THIRD = "c"
#: Slides of each stain that a screen is made of, and their size.
_MADE_OF_COUNT, _SIZE = 12, "20000x18000"
#: Level of the truth's pyramid that areas are looked for in: 1/16.
_TRUTH_LEVEL = 4


@dataclass(frozen=True, slots=True)
class Drawn:
    """A slide of the benchmark.

    Attributes:
        kind: Row that it counts in.
        path: The slide; its truth lies beside it.
    """

    kind: str
    path: Path

    @property
    def truth(self) -> Path:
        """255 where there is tumour."""
        return self.path.with_name(f"{self.path.stem}_mask.tiff")


def main() -> None:
    """Draw, make, analyse, print, keep the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("build/screen.json"))
    parser.add_argument("--size", default=_SIZE, help="of each slide, px")
    parser.add_argument("--made-of", type=int, default=_MADE_OF_COUNT, help="slides of each stain")
    parser.add_argument("--slides", type=int, default=3, help="unseen ones of each row and stain")
    parser.add_argument("--promise", type=float, default=0.001)
    arguments = parser.parse_args()
    folder = arguments.out.parent / "screen"
    delete_set_aside(arguments.out.parent)
    package = find_or_build("demo", Settings(), lambda what: print(f"demo: {what}"))
    screened = screened_demo(
        package, folder, arguments.size, arguments.made_of, promise=arguments.promise
    )
    unseen = _draw_unseen(folder, arguments.size, arguments.slides)
    figures: dict[str, Any] = {
        "size": arguments.size,
        "made": [one.model_dump() for one in _section(screened).stains],
    }
    _both(unseen[0].path, screened, folder)  # converts the model
    runs = {one: _both(one.path, screened, folder) for one in unseen}
    threshold = package.description.threshold.value
    for kind in dict.fromkeys(one.kind for one in unseen):
        chosen = [one for one in unseen if one.kind == kind]
        figures[kind] = _row(chosen, [runs[one] for one in chosen], folder, threshold)
        _show(kind, figures[kind])
    arguments.out.write_text(json.dumps(figures, indent=1) + "\n")
    _evaluate(unseen[0].path.parent, folder)


def screened_demo(
    package: ModelPackage,
    folder: Path,
    size: str = _SIZE,
    count: int = _MADE_OF_COUNT,
    *,
    promise: float = 0.001,
) -> ModelPackage:
    """The demo with a screen, made on slides drawn for it; made once.

    Args:
        package: The demo.
        folder: For slides and the package.
        size: Of each slide, ``20000x18000`` px.
        count: Slides of each stain.
        promise: As ``wsi models screen`` has it.
    """
    out = folder / f"demo-{package.sha256[:12]}-{size}-{count}-{promise:g}"
    if not out.exists():
        slides = folder / f"made-of {count} of {size}"
        for number, stain in enumerate(_MADE_OF):
            for index in range(count):
                seed = 6000 + 100 * number + index
                # Every second one has little tumour, as slides of patients do.
                share = _TENTH if index % 2 == 0 else 2 * _MICRO
                draw(slides, size, seed, share, stain)
        command = ["models", "screen", package.folder, slides, "-o", out, "--promise", promise]
        _wsi(command)
    return load_package(out)


def draw(folder: Path, size: str, seed: int, share: float, stain: str) -> Path:
    """Draw a slide and its truth, unless it is there; the slide."""
    path = folder / f"synth_{seed}.tiff"
    if not path.exists():
        tumour = share or "none"
        _wsi(
            ["synth", folder, "--size", size, "--seed", seed, "--tumour", tumour, "--stain", stain]
        )
    return path


def _draw_unseen(folder: Path, size: str, count: int) -> list[Drawn]:
    slides: list[Drawn] = []
    wanted = [(kind, stain, share) for kind, share in _KINDS.items() for stain in _MADE_OF]
    wanted.append(("third", _THIRD, _TENTH))
    for number, (kind, stain, share) in enumerate(wanted):
        for index in range(count):
            seed = 7000 + 100 * number + index
            path = draw(folder / f"unseen {size}", size, seed, share, stain)
            slides.append(Drawn(kind, path))
    return slides


def _both(slide: Path, package: ModelPackage, folder: Path) -> dict[str, dict[str, Any]]:
    """Runs with and without the screen: the same process but for that."""
    found: dict[str, dict[str, Any]] = {}
    for screen in ("off", "auto"):
        out = folder / screen / f"{slide.stem}{SUFFIX}"
        out.parent.mkdir(parents=True, exist_ok=True)
        places = (slide, package.folder, Settings().cache_dir, out)
        options = ("--level", 0, "--screen", screen)
        found[screen] = run_module("benchmarks.pipeline_run", *places, *options)
    return found


def _row(
    slides: Sequence[Drawn],
    runs: Sequence[dict[str, dict[str, Any]]],
    folder: Path,
    threshold: float,
) -> dict[str, Any]:
    ratios = [run["off"]["seconds"] / run["auto"]["seconds"] for run in runs]
    row: dict[str, Any] = {
        "slides": len(slides),
        "seconds": statistics.median(run["auto"]["seconds"] for run in runs),
        "seconds_off": statistics.median(run["off"]["seconds"] for run in runs),
        "ratio": statistics.median(ratios),
        "least_ratio": min(ratios),
    }
    counted = [_counted(one, folder, threshold) for one in slides]
    return row | {name: sum(one[name] for one in counted) for name in counted[0]}


def _counted(slide: Drawn, folder: Path, threshold: float) -> dict[str, int]:
    results = {screen: _result(folder, screen, slide) for screen in ("off", "auto")}
    tables = {screen: result.tile_table() for screen, result in results.items()}
    positive = {screen: table["probability"] >= threshold for screen, table in tables.items()}
    record = results["auto"].record.screen
    assert record is not None  # the package has one
    areas, count, step = _areas(slide.truth)
    side = round(results["off"].record.grid.patch_px_0)
    hit = {
        screen: len(
            _areas_under(areas, tables[screen]["x"][found], tables[screen]["y"][found], side, step)
        )
        for screen, found in positive.items()
    }
    return {
        "tiles": len(positive["off"]),
        "looked_at": record.tiles - record.screened,
        "positive": int(positive["off"].sum()),
        "lost": int((positive["off"] & ~positive["auto"]).sum()),
        "annotated": count,
        "lesions_off": hit["off"],
        "lesions": hit["auto"],
        "wrong": record.wrong,
        "failed": int(record.wrong > 0),
        "unscreened": int(bool(record.reason) and not record.wrong),
    }


def _areas(truth: Path) -> tuple[NDArray[np.int32], int, float]:
    """Numbered areas of tumour, how many, and level-0 px per sample."""
    with openslide.OpenSlide(truth) as mask:
        level = min(_TRUTH_LEVEL, mask.level_count - 1)
        plane = np.asarray(mask.read_region((0, 0), level, mask.level_dimensions[level]))[..., 0]
        areas, count = ndimage.label(plane > 127, structure=np.ones((3, 3)))
        return areas, int(count), float(mask.level_downsamples[level])


def _areas_under(
    areas: NDArray[np.int32], xs: NDArray[Any], ys: NDArray[Any], side: int, step: float
) -> set[int]:
    """Areas that some of the tiles touch; corners and side in level-0 px."""
    found: set[int] = set()
    for x, y in zip(xs, ys, strict=True):
        rows = slice(int(y / step), int((y + side) / step) + 1)
        columns = slice(int(x / step), int((x + side) / step) + 1)
        found |= set(np.unique(areas[rows, columns]).tolist())
    return found - {0}


def _evaluate(slides: Path, folder: Path) -> None:
    """Slide AUC, FROC and Dice, with and without the screen."""
    table = folder / "cohort.csv"
    _wsi(["dataset", "index", slides, "-o", table, "--overwrite"])
    results = [folder / "off", folder / "auto"]
    command = ["evaluate", "--compare", *results, "--cohort", table, "-o", folder / "report"]
    _wsi([*command, "--overwrite"])


def _result(folder: Path, screen: str, slide: Drawn) -> Result:
    return Result(folder / screen / f"{slide.path.stem}{SUFFIX}")


def _section(package: ModelPackage) -> ScreenSection:
    section = package.description.screen
    assert section is not None  # it was made with one
    return section


def _wsi(options: Sequence[object]) -> None:
    subprocess.run(
        [sys.executable, "-m", "wsi_pipeline.cli", *(str(part) for part in options)], check=True
    )


def _show(kind: str, row: dict[str, Any]) -> None:
    print(
        f"{kind}: {row['slides']} slides, {row['seconds_off']:.2f} s, with the screen "
        f"{row['seconds']:.2f} s: {row['ratio']:.2f} times (least {row['least_ratio']:.2f}); "
        f"{row['looked_at']:,} of {row['tiles']:,} tiles; lost {row['lost']} of {row['positive']} "
        f"positive; areas {row['lesions']} and {row['lesions_off']} of {row['annotated']}; "
        f"{row['failed']} analysed again, {row['unscreened']} not screened",
        flush=True,
    )


if __name__ == "__main__":
    main()
