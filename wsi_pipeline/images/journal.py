"""What a run has finished so far, kept on disk so that a killed one goes on.

A hidden folder in the output folder holds parts of some answers each, one line per answer. A part
is there whole or not at all, and survives a power cut. When the table stands, the folder goes.
"""

import fcntl
import json
import logging
import os
import shutil
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from wsi_pipeline import durable
from wsi_pipeline.errors import ResultBusyError, ResultError
from wsi_pipeline.images.classification import Answer

log = logging.getLogger(__name__)

FOLDER = ".unfinished"
_KEY = "model.json"
#: A part is written when it has so many answers, or is so old: no more than that is lost.
_PART_ANSWERS, _PART_SECONDS = 512, 3.0


class Journal:
    """The answers of one run. Use as a context manager, which holds a lock on the folder.

    Args:
        out: The output folder; it is there.
        key: Everything that decides the answers.
        overwrite: Throw away what a run with another key left unfinished.

    Attributes:
        answers: What earlier runs finished, by the SHA-256 of the image's file.

    Raises:
        ResultBusyError: another process writes there (on entering).
        ResultError: an unfinished run with another key is there (on entering).
    """

    def __init__(self, out: Path, key: dict[str, Any], *, overwrite: bool = False) -> None:
        self._out, self._folder, self._overwrite = out, out / FOLDER, overwrite
        self._key = json.dumps(key, sort_keys=True, indent=1)
        self._lock: int | None = None
        self._part: list[str] = []
        self._began = time.monotonic()
        self._next = 0
        self.answers: dict[str, Answer] = {}

    def __enter__(self) -> Self:
        lock = os.open(self._out, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(lock)
            raise ResultBusyError(self._out, "another process writes its results there") from error
        self._lock = lock
        try:
            self._begin()
        except BaseException:
            os.close(lock)
            raise
        return self

    def _begin(self) -> None:
        self._folder.mkdir(exist_ok=True)
        key = self._folder / _KEY
        if not key.exists() or key.read_text(encoding="utf-8") != self._key:
            old = list(self._folder.glob("part-*"))
            if old and not self._overwrite:
                raise ResultError(
                    self._out,
                    "holds an unfinished run of another model or runtime; finish that one, use "
                    "another -o, or --overwrite to discard it",
                )
            for part in old:
                part.unlink()
            durable.write_text(key, self._key)
        for part in sorted(self._folder.glob("part-*")):
            self._next = int(part.name.removeprefix("part-")) + 1
            self._load(part)

    def _load(self, part: Path) -> None:
        try:
            found = [
                Answer.from_json(line) for line in part.read_text(encoding="utf-8").splitlines()
            ]
        except (OSError, ValueError) as error:
            log.warning("%s cannot be read (%s); its images are computed again", part, error)
            return
        self.answers |= {answer.sha256: answer for answer in found}

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._lock is not None:
            os.close(self._lock)

    def keep(self, answer: Answer) -> None:
        """Keep an answer; a part of them is written now and then, the last by :meth:`flush`."""
        if answer.sha256 in self.answers:
            return
        self.answers[answer.sha256] = answer
        self._part.append(answer.to_json())
        late = time.monotonic() - self._began > _PART_SECONDS
        if late or len(self._part) >= _PART_ANSWERS:
            self.flush()

    def flush(self) -> None:
        """Write what is not written; once this returns it survives a crash of the machine."""
        if self._part:
            path = self._folder / f"part-{self._next:06d}"
            durable.write_text(path, "\n".join(self._part) + "\n")
            self._part, self._next = [], self._next + 1
        self._began = time.monotonic()

    def discard(self) -> None:
        """Remove what was kept; called when the table stands in its place."""
        shutil.rmtree(self._folder, ignore_errors=True)
