"""Everything that is settled about an analysis before its first tile is classified."""

import functools
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from wsi_pipeline.analysis_settings import AnalysisSettings
from wsi_pipeline.grid import Grid
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.quality.assessment import look_coarsely
from wsi_pipeline.run.checked_slide import check_slide
from wsi_pipeline.run.profile import NOT_PROFILED, Recorder
from wsi_pipeline.run.quality import Marks, mark, without_rejected
from wsi_pipeline.run.screening import Screening, screen_tiles
from wsi_pipeline.slide import SlideInfo, SlideReader
from wsi_pipeline.slide.files import is_one_file, slide_files, slide_name, slide_sha256
from wsi_pipeline.slide.probe import Probe, probe
from wsi_pipeline.slide.resolution import Resolution
from wsi_pipeline.stain.normalisation import StainNormalisation
from wsi_pipeline.tiles.kept_patches import KeptPatches
from wsi_pipeline.tiles.plan import Plan, make_plan
from wsi_pipeline.tiles.stain import fit_tissue

Done = TypeVar("Done")
_NOTHING = "no tile holds enough tissue: nothing was classified"
#: Of maps, whose tiles may be as large as the tissue.
_LARGE_TILES = "the model's tiles are large, a lower --min-tissue (`min_tissue`) lets more through"


@dataclass(frozen=True, slots=True)
class Preparation:
    """A slide ready to be classified.

    Attributes:
        path: As the user gave it.
        reader: The open slide.
        sha256: Identifies the slide; a future, because hashing gigabytes overlaps with the rest.
        resolution: Level and scale that are analysed.
        plan: The tiles.
        warnings: What a person should know of the slide.
        name: What results call it.
        stain: How its px are made like those the model was trained on; None of most models.
        screening: What the model's screen says; None where there is none, or it is off.
        marking: What quality control finds; a future, because looking for marks overlaps with
            classifying where no tile is left out for them. None where it is off.
        kept: Patches that were read when looking for tissue.
    """

    path: Path
    reader: SlideReader
    sha256: "Future[str]"
    resolution: Resolution
    plan: Plan
    warnings: tuple[str, ...]
    name: str
    stain: StainNormalisation | None = None
    marking: "Future[Marks] | None" = None
    kept: KeptPatches | None = None
    screening: Screening | None = None

    @property
    def marks(self) -> Marks | None:
        """What quality control found, once it has; None where it is off.

        Raises:
            SlideError: the slide cannot be read.
        """
        return None if self.marking is None else self.marking.result()

    @property
    def whole(self) -> Plan:
        """All tiles of tissue, those that the model is not asked about too."""
        return self.plan if self.screening is None else self.screening.whole

    def unscreened(self, wrong: int) -> "Preparation":
        """The same with every tile given to the model, since controls of the screen failed.

        Args:
            wrong: How many.
        """
        assert self.screening is not None  # or there was none to fail
        return replace(self, plan=self.screening.whole, screening=self.screening.failed(wrong))

    @property
    def info(self) -> SlideInfo:
        """Facts of the slide."""
        return self.reader.info


def prepare(
    path: Path,
    package: ModelPackage,
    analysis: AnalysisSettings,
    *,
    prober: Callable[[Path], Probe] = probe,
    threads: int | None = None,
    name: str | None = None,
    profile: Recorder = NOT_PROFILED,
) -> Preparation:
    """Check a slide, choose its level and find its tissue.

    Args:
        path: A slide file, or a folder of DICOM files.
        package: The model, whose patch and resolution decide the grid.
        analysis: The settings.
        prober: Looks at the unknown file first; a :class:`~wsi_pipeline.slide.probe.Prober` does
            it sooner.
        threads: Threads that read patches whose tissue the coarse level leaves open; None for
            one per core.
        name: What results call the slide; None for its file's name.
        profile: Told what was done when.

    Raises:
        SlideError: something is wrong with the slide, or it does not allow what is asked.
    """
    name = slide_name(path) if name is None else name

    def timed(what: str, work: Callable[[], Done]) -> Done:
        with profile.span("tissue", what, name):
            return work()

    refused = threading.Event()

    def sha256() -> str:
        with profile.span("tissue", "hash the slide", name):
            return slide_sha256(slide_files(path), refused.is_set)

    # Bytes harm nobody. Which files belong to a slide of several is asked once it has been checked.
    hashing = _in_background("hash", sha256) if is_one_file(path) else None
    try:
        checked = timed("check", lambda: check_slide(path, package, analysis, prober=prober))
    except BaseException:
        refused.set()
        raise
    assert checked.chosen is not None  # there is a model
    reader, (resolution, grid) = checked.reader, checked.chosen
    hashing = hashing or _in_background("hash", sha256)
    threads = threads or len(os.sched_getaffinity(0))
    coarse = marking = None
    if analysis.qc != "off":
        # Needs no plan: it takes what finding tissue leaves of the cores.
        see = functools.partial(look_coarsely, reader, grid.mpp_0, threads=threads)
        coarse = _in_background("marks", functools.partial(timed, "look for marks", see))
    kept = KeptPatches()
    plan = timed(
        "find tissue", lambda: plan_tiles(reader, grid, analysis, threads=threads, kept=kept)
    )
    warnings = checked.warnings
    if len(plan) == 0:
        warnings += (_NOTHING if grid.cell is None else f"{_NOTHING}; {_LARGE_TILES}",)
    if coarse is not None:
        look = functools.partial(mark, reader, plan, analysis, threads=threads, coarse=coarse)
        marking = _in_background("quality", functools.partial(timed, "quality control", look))
        if analysis.qc == "reject":
            plan = without_rejected(plan, marking.result())
    ask = functools.partial(screen_tiles, reader, plan, package, analysis, threads=threads)
    screening = timed("screen", ask)
    return Preparation(
        path,
        reader,
        hashing,
        resolution,
        plan if screening is None else screening.plan,
        warnings,
        name,
        timed("measure the stain", lambda: fit_slide_stain(reader, plan, package)),
        marking,
        kept,
        screening,
    )


def plan_tiles(
    reader: SlideReader,
    grid: Grid,
    analysis: AnalysisSettings,
    *,
    threads: int | None = None,
    kept: KeptPatches | None = None,
) -> Plan:
    """Find the tissue; arguments as for :func:`prepare`, ``kept`` as for :func:`make_plan`."""
    return make_plan(
        reader,
        grid,
        min_tissue=analysis.min_tissue,
        exact=analysis.tissue == "exact",
        threads=threads or len(os.sched_getaffinity(0)),
        kept=kept,
    )


def fit_slide_stain(
    reader: SlideReader, plan: Plan, package: ModelPackage
) -> StainNormalisation | None:
    """How a slide's px are made like those its model was trained on; None where they are not."""
    target = package.description.preprocessing.stain
    return None if target is None else target.of(fit_tissue(reader, plan, target.method))


def _in_background(name: str, work: Callable[[], Done]) -> "Future[Done]":
    with_one = ThreadPoolExecutor(1, thread_name_prefix=name)
    future = with_one.submit(work)
    with_one.shutdown(wait=False)
    return future
