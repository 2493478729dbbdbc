"""Looking at an unknown file in a child process with limits, so that it can harm nothing.

A hostile or damaged file may crash the decoder, eat memory or never end. The child takes that
upon itself: the parent gets facts or an error, always.

Run as a program, ``python -m wsi_pipeline.slide.probe BYTES SECONDS`` reads a path from standard
input and prints one JSON object.
"""

import json
import os
import resource
import signal
import subprocess
import sys
import threading
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
from wsi_pipeline.slide.stored_reader import COMPUTED

_SPOTS = 3
_SPOT_PX = 32


@dataclass(frozen=True, slots=True)
class ProbeLimits:
    """What the child may use.

    Attributes:
        seconds: Wall-clock time.
        memory: Address space in bytes.
    """

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
    """

    info: SlideInfo
    sampled: int
    unreadable: int
    reason: str


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
    """:func:`probe` with its child started ahead: most of a probe's time is the child's imports.

    Each child looks at one slide only; the second and later calls start one of their own.

    Args:
        limits: What each child may use.
    """

    def __init__(self, limits: ProbeLimits | None = None) -> None:
        self._limits = limits or ProbeLimits()
        self._lock = threading.Lock()
        self._ready: subprocess.Popen[bytes] | None = self._start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Let go of a child nobody asked anything."""
        with self._lock:
            child, self._ready = self._ready, None
        if child is not None:
            child.communicate(b"")

    def __call__(self, path: Path) -> Probe:
        """As :func:`probe`."""
        with self._lock:
            child, self._ready = self._ready, None
        child = child or self._start()
        limits = self._limits
        try:
            answered, _ = child.communicate(os.fsencode(path), timeout=limits.seconds)
        except subprocess.TimeoutExpired as error:
            child.kill()
            child.communicate()
            cause = (
                f"reading it took more than {limits.seconds:g} s; the file is damaged or hostile"
            )
            raise DamagedSlideError(path, cause) from error
        except BaseException:
            child.kill()
            child.communicate()
            raise
        try:
            answer = json.loads(answered.splitlines()[-1])
        except (IndexError, ValueError) as error:
            raise DamagedSlideError(path, _crash(child.returncode, limits)) from error
        if "error" in answer:
            raise getattr(errors, answer["error"])(Path(answer["path"]), answer["cause"])
        return Probe(
            SlideInfo.from_json(answer["info"]),
            answer["sampled"],
            answer["unreadable"],
            answer["reason"],
        )

    def _start(self) -> "subprocess.Popen[bytes]":
        limits = [str(self._limits.memory), str(int(2 * self._limits.seconds) + 60)]
        command = [sys.executable, "-m", "wsi_pipeline.slide.probe", *limits]
        # Threads of a maths library nobody uses here would each reserve address space.
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
        return subprocess.Popen(  # noqa: S603 - our own interpreter and module, no shell
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
        )


def _crash(code: int, limits: ProbeLimits) -> str:
    if code < 0:
        name = signal.Signals(-code).name
        return f"reading it crashed the decoder ({name}); the file is damaged or hostile"
    gib = limits.memory / 2**30
    return f"reading it failed within {gib:g} GiB of memory; the file is damaged or hostile"


def _sample(reader: SlideReader) -> tuple[int, int, str]:
    """Read places spread over every level: how many, how many failed, the first reason."""
    sampled = unreadable = 0
    reason = ""
    for index, level in enumerate(reader.info.levels):
        if reader.path_of(index) == COMPUTED:
            continue  # would read the whole slide, which takes longer than a probe may
        width, height = (
            min(_SPOT_PX, level.size.width),
            min(_SPOT_PX, level.size.height),
        )
        for j in range(_SPOTS):
            for i in range(_SPOTS):
                x = (level.size.width - width) * i // (_SPOTS - 1)
                y = (level.size.height - height) * j // (_SPOTS - 1)
                sampled += 1
                try:
                    reader.read(Region(index, x, y, width, height))
                except DamagedSlideError as error:
                    unreadable += 1
                    reason = reason or error.cause
    return sampled, unreadable, reason


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
        sampled, unreadable, reason = _sample(reader)
        if unreadable == sampled:
            raise DamagedSlideError(path, f"no pixel of it can be decoded: {reason}")
        check_colours(reader)
    except SlideError as error:
        # Named by what the user gave, not by the file inside a folder that was at fault.
        return {"error": type(error).__name__, "path": str(path), "cause": error.cause}
    except OSError as error:
        cause = f"cannot be read: {error.strerror or error}"
        return {"error": "DamagedSlideError", "path": str(path), "cause": cause}
    info = reader.info.to_json()
    return {"info": info, "sampled": sampled, "unreadable": unreadable, "reason": reason}


def main() -> None:
    """Probe the file named on standard input within bytes of address space and processor time."""
    memory, seconds = int(sys.argv[1]), int(sys.argv[2])
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    # The parent watches the clock; this is for a child whose parent was killed.
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    name = sys.stdin.buffer.read()
    if name:
        sys.stdout.write(json.dumps(_look(Path(os.fsdecode(name)))) + "\n")


if __name__ == "__main__":
    main()
