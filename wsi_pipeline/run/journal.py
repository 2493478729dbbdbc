"""Which slides a run is at work on, written so that it is known after the process has crashed.

A crash in native code, or for want of memory, says nothing of the slide that caused it. Those that
were under way are analysed again, one at a time: one that crashes then is to blame, and fails.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

_State = Literal["under way", "ended", "done"]


class Journal(Protocol):
    """Told of slides, from any thread; says what earlier crashes of the same run have shown."""

    def is_suspect(self, path: Path) -> bool:
        """Whether a slide is to be analysed with no other beside it."""
        ...

    def blame(self, path: Path) -> str:
        """Why a slide is not to be analysed; empty where it is."""
        ...

    def is_done(self, path: Path) -> bool:
        """Whether the run made a slide's result before it crashed."""
        ...

    def begins(self, path: Path) -> None:
        """Something of a slide is about to be read."""
        ...

    def ended(self, path: Path, *, done: bool) -> None:
        """Nothing of a slide will be read any more.

        Args:
            path: The slide.
            done: Whether this run made its result.
        """
        ...


class _NotKept:
    """The journal of a run that nobody watches."""

    def is_suspect(self, path: Path) -> bool:  # noqa: ARG002 - the interface
        """Nothing has crashed."""
        return False

    def blame(self, path: Path) -> str:  # noqa: ARG002 - the interface
        """Nothing has crashed."""
        return ""

    def is_done(self, path: Path) -> bool:  # noqa: ARG002 - the interface
        """Nothing has crashed."""
        return False

    def begins(self, path: Path) -> None:
        """Nobody asks."""

    def ended(self, path: Path, *, done: bool) -> None:
        """Nobody asks."""


NOT_KEPT: Journal = _NotKept()


@dataclass(frozen=True, slots=True)
class Evidence:
    """What crashes have shown.

    Attributes:
        suspects: Slides that were under way in a crash, and have not ended since.
        blamed: Slides that crashed with no other beside them: how.
        done: Slides whose results were made before.
    """

    suspects: frozenset[Path] = frozenset()
    blamed: Mapping[Path, str] = field(default_factory=dict)
    done: frozenset[Path] = frozenset()

    def after(
        self,
        crash: str,
        under_way: frozenset[Path],
        ended: frozenset[Path],
        done: frozenset[Path] = frozenset(),
    ) -> "Evidence":
        """With one more crash.

        Args:
            crash: How the process ended, in words.
            under_way: Slides that were being worked on.
            ended: Slides that were through before.
            done: Those of them whose results were made.
        """
        suspects, done = (self.suspects - ended) | under_way, self.done | done
        if len(under_way) > 1 or not under_way <= self.suspects:
            return Evidence(suspects, self.blamed, done)
        # It crashed before, and now alone.
        blamed = {**self.blamed, **dict.fromkeys(under_way, crash)}
        return Evidence(suspects - under_way, blamed, done)


class FileJournal:
    """A journal in a file in memory: a process that was forked shares it, and the other reads it.

    Attributes:
        evidence: Of earlier processes of the run.
    """

    def __init__(self) -> None:
        self.evidence = Evidence()
        self._descriptor = os.memfd_create("journal")

    def close(self) -> None:
        """Free the file."""
        os.close(self._descriptor)

    def is_suspect(self, path: Path) -> bool:
        """See :meth:`Journal.is_suspect`."""
        return path in self.evidence.suspects

    def blame(self, path: Path) -> str:
        """See :meth:`Journal.blame`."""
        how = self.evidence.blamed.get(path)
        return "" if how is None else f"analysing it {how}, twice; the other slides go on"

    def is_done(self, path: Path) -> bool:
        """See :meth:`Journal.is_done`."""
        return path in self.evidence.done

    def begins(self, path: Path) -> None:
        """See :meth:`Journal.begins`."""
        self._write(path, "under way")

    def ended(self, path: Path, *, done: bool) -> None:
        """See :meth:`Journal.ended`."""
        self._write(path, "done" if done else "ended")

    def conclude(self, crash: str) -> frozenset[Path]:
        """Learn from a crash of the process that wrote it, and begin anew.

        Args:
            crash: How it ended, in words.

        Returns:
            The slides that were under way.
        """
        size = os.fstat(self._descriptor).st_size
        last: dict[Path, _State] = {}
        for line in os.pread(self._descriptor, size, 0).splitlines():
            path, state = json.loads(line)
            last[Path(path)] = state
        under_way = frozenset(path for path, state in last.items() if state == "under way")
        done = frozenset(path for path, state in last.items() if state == "done")
        self.evidence = self.evidence.after(crash, under_way, frozenset(last) - under_way, done)
        os.ftruncate(self._descriptor, 0)
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        return under_way

    def _write(self, path: Path, state: _State) -> None:
        # One call: lines of several threads do not mix, and nothing is left in a buffer.
        os.write(self._descriptor, json.dumps([str(path), state]).encode() + b"\n")
