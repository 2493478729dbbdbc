"""Looking at an unknown file in a child process with limits, so that it can harm nothing.

A hostile or damaged file may crash the decoder, eat memory or never end: whoever asks gets facts
or an error, always.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from wsi_pipeline import errors
from wsi_pipeline.errors import DamagedSlideError, SlideError
from wsi_pipeline.geometry import Region
from wsi_pipeline.slide.colour_correction import check_colours
from wsi_pipeline.slide.files import slide_files
from wsi_pipeline.slide.info import SlideInfo
from wsi_pipeline.slide.integrity import check_integrity
from wsi_pipeline.slide.opening import open_slide
from wsi_pipeline.slide.reader import SlideReader
from wsi_pipeline.slide.sandbox import PROBING, CrashError, Limits, Sandbox
from wsi_pipeline.slide.stored_reader import COMPUTED
from wsi_pipeline.slide.tile_reader import DIRECT

_SPOTS = 3
_SPOT_PX = 32
_MOST_THREADS = 4


@dataclass(frozen=True, slots=True)
class ProbeLimits(Limits):
    """What one look may use, unless told otherwise."""

    seconds: float = 120.0
    memory: int = 6 * 2**30


@dataclass(frozen=True, slots=True)
class Probe:
    """What a probe found.

    Attributes:
        info: Facts of the slide.
        sampled: How many places over all levels were read.
        unreadable: How many of them could not be decoded.
        reason: Why, for the first of them.
        proven: Levels whose tiles, decoded directly, were compared with OpenSlide's px; see
            :mod:`~wsi_pipeline.slide.tile_reader`.
    """

    info: SlideInfo
    sampled: int
    unreadable: int
    reason: str
    proven: tuple[int, ...]


def probe(path: Path, limits: ProbeLimits | None = None) -> Probe:
    """Check a slide's structure and read places spread over every level, in a child process.

    Raises:
        UnsupportedSlideError: not a slide, or of a kind that cannot be read.
        DamagedSlideError: truncated or damaged, or the child crashed or exceeded its limits.
        SlideContentError: its colours cannot be those of a bright-field slide.
    """
    with Prober(limits) as prober:
        return prober(path)


class Prober:
    """:func:`probe` many times, from several threads where wanted, with the imports done ahead.

    Args:
        limits: What each look may use.
        sandbox: Does the looking; None starts one of its own.
    """

    def __init__(self, limits: ProbeLimits | None = None, sandbox: Sandbox | None = None) -> None:
        self._limits = limits or ProbeLimits()
        self._own = None if sandbox else Sandbox(PROBING).start()
        self._sandbox = sandbox or self._own

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """End the sandbox, if it is this one's own."""
        if self._own is not None:
            self._own.close()

    def __call__(self, path: Path) -> Probe:
        """As :func:`probe`."""
        assert self._sandbox is not None, "the given one or its own"
        try:
            answer = self._sandbox.call(look, {"path": str(path)}, self._limits)
        except CrashError as error:
            cause = f"reading it {error}; the file is damaged or malicious"
            raise DamagedSlideError(path, cause) from error
        if "error" in answer:
            raise getattr(errors, answer["error"])(Path(answer["path"]), answer["cause"])
        return Probe(
            SlideInfo.from_json(answer["info"]),
            answer["sampled"],
            answer["unreadable"],
            answer["reason"],
            tuple(answer["proven"]),
        )


def look(path: str) -> dict[str, object]:
    """What a sandbox does for :func:`probe`: its facts or its error, as JSON."""
    return _look(Path(path))


def _sample(reader: SlideReader) -> tuple[int, list[str]]:
    """Read places spread over every level: how many, and why some of them failed."""

    def read(index: int) -> tuple[int, list[str]]:
        if reader.path_of(index) == COMPUTED:
            return 0, []  # would read the whole slide, which takes longer than a probe may
        size = reader.info.levels[index].size
        width, height = min(_SPOT_PX, size.width), min(_SPOT_PX, size.height)
        failed: list[str] = []
        for j in range(_SPOTS):
            for i in range(_SPOTS):
                x = (size.width - width) * i // (_SPOTS - 1)
                y = (size.height - height) * j // (_SPOTS - 1)
                try:
                    reader.read(Region(index, x, y, width, height))
                except DamagedSlideError as error:
                    failed.append(error.cause)
        return _SPOTS**2, failed

    # Few: each thread reserves address space, of which there is a limit.
    threads = min(_MOST_THREADS, len(os.sched_getaffinity(0)))
    with ThreadPoolExecutor(threads) as pool:
        found = list(pool.map(read, range(len(reader.info.levels))))
    return sum(count for count, _ in found), [cause for _, failed in found for cause in failed]


def _look(path: Path) -> dict[str, object]:
    try:
        files = slide_files(path)
        try:
            reader = open_slide(path)
        except SlideError:
            # Truncation explains most failures to open, and is the better answer.
            check_integrity(files)
            raise
        check_integrity(files)
        sampled, failed = _sample(reader)
        if len(failed) == sampled:
            raise DamagedSlideError(path, f"no pixel of it can be decoded: {failed[0]}")
        check_colours(reader)
    except SlideError as error:
        # Named by what the user gave, not by the file inside a folder that was at fault.
        return {"error": type(error).__name__, "path": str(path), "cause": error.cause}
    except OSError as error:
        cause = f"cannot be read: {error.strerror or error}"
        return {"error": "DamagedSlideError", "path": str(path), "cause": cause}
    levels = range(len(reader.info.levels))
    return {
        "info": reader.info.to_json(),
        "sampled": sampled,
        "unreadable": len(failed),
        "reason": failed[0] if failed else "",
        "proven": [level for level in levels if reader.path_of(level) == DIRECT],
    }
