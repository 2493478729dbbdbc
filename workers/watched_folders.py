"""Watched folders: slides are analysed as they come, results land beside them or in a like tree.

Looked through again and again rather than told by the system: that also works on network drives.
Several workers may watch the same folders; the database decides who works on a file.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workers.delivery import InTheWayError, deliver_failure, deliver_tree
from workers.watched_entries import WatchedEntry, entries, entry_of, look
from workers.watched_files import Checked, Ended, WatchedFile, WatchedFiles
from wsi_pipeline.errors import PackageError, SlideError, UsageError
from wsi_pipeline.model.package import DESCRIPTION, ModelPackage, load_package
from wsi_pipeline.service.database import Database
from wsi_pipeline.service.jobs.submission import make_request
from wsi_pipeline.service.problem import problem_of
from wsi_pipeline.service.settings import ServiceSettings, WatchedFolder
from wsi_pipeline.service.text import check_slide_name, shown
from wsi_pipeline.slide.files import slide_files, slide_sha256
from wsi_pipeline.slide.probe import ProbeLimits, Prober
from wsi_pipeline.storage import Storage

log = logging.getLogger(__name__)

#: A file is left alone for so long after it changed, or a worker said that it works on it, even
#: if the settings would have it sooner; seconds.
_LEAST_HOLD_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What became of work on a file: its value or error, and the file as it is held now."""

    held: WatchedFile | None
    value: Any
    error: Exception | None


class FolderWatch:
    """Looks after the watched folders of the settings, in a thread of a worker process.

    Args:
        settings: Folders, model packages, limits.
        database: Shared by all workers.
        storage: Where results are.
    """

    def __init__(self, settings: ServiceSettings, database: Database, storage: Storage) -> None:
        self._settings = settings
        self._storage = storage
        self._files = WatchedFiles(database)
        self._packages: dict[str, tuple[float, ModelPackage]] = {}
        self._complaints: dict[Path, str] = {}
        self._stop = threading.Event()

    def run(self, stop: threading.Event) -> None:
        """Look through the folders until told to stop; returns at once if there are none."""
        self._stop = stop
        while self._settings.watch and not stop.is_set():
            try:
                self.scan()
            except Exception as error:
                # The next scan begins anew from the database. Only the kind of error is logged:
                # the rest may name files, and files are called like people.
                log.warning("watched folders: %s; trying again", type(error).__name__)
            stop.wait(self._settings.scan_seconds)

    def scan(self) -> None:
        """Look through every folder once: note what is new, queue what rests, deliver results."""
        for number, folder in enumerate(self._settings.watch, 1):
            try:
                self._scan(folder)
            except (OSError, PackageError, UsageError) as error:
                # Of this folder only, and perhaps for a while only: a drive that is away.
                self._complain(folder.path, f"watched folder {number}: {_reason(error)}")
            else:
                self._complaints.pop(folder.path, None)

    def _scan(self, folder: WatchedFolder) -> None:
        root = folder.path.expanduser().absolute()
        tree = (folder.results or folder.path).expanduser().absolute()
        found = entries(root)
        there = {path: entry for path, entry in found.items() if entry.is_text}
        for path in found.keys() - there.keys():
            self._refuse(found[path], tree)
        known = self._files.below(root)
        for path, entry in there.items():
            row = known.get(path)
            if entry.look is not None and (row is None or row.look != entry.look):
                self._files.saw(path, entry.look)
        for path, row in known.items():
            if path not in there and row.slide_id is None:
                self._files.gone(row)
        hold = max(folder.still_seconds, _LEAST_HOLD_SECONDS)
        for ended in self._files.ended(root, hold):
            if not self._stop.is_set():
                path = ended.file.path
                entry = there.get(path) or entry_of(Path(path), root)
                self._deliver(ended, entry, tree, hold)
        for row in self._files.still(root, hold):
            if row.path in there and not self._stop.is_set():
                self._queue(folder, there[row.path], row, hold)

    def _refuse(self, entry: WatchedEntry, tree: Path) -> None:
        """Say, once and beside the file, that its name is no text: no database can keep it."""
        failure = entry.failure(tree)
        if failure.exists():
            return
        reason = f"{shown(entry.path.name)}: the path is not text in UTF-8; rename it"
        try:
            deliver_failure(failure, None, problem_of(UsageError(reason)))
        except OSError as error:
            self._complain(failure, f"an error file cannot be written: {_reason(error)}")
        else:
            log.warning("a file in a watched folder has a name that is not text: see its error")

    def _queue(
        self, folder: WatchedFolder, entry: WatchedEntry, row: WatchedFile, hold: float
    ) -> None:
        own = {"device": self._settings.device, "precision": self._settings.precision}
        config = folder.analysis.model_copy(update=own)
        request = make_request("", folder.model, self._package(folder.model), config)
        outcome = self._holding(row, hold, lambda: self._check(entry.path))
        if outcome.held is None or look(entry.path) != row.look:
            return  # another worker has it, or it changed: the next scan will see
        if outcome.error is None:
            job = self._files.queue(outcome.held, folder.workspace, request, outcome.value)
            if job is not None:
                log.info("queued a slide of a watched folder", extra={"facts": {"job_id": job}})
        elif isinstance(outcome.error, SlideError | UsageError):
            self._files.reject(outcome.held, folder.workspace, problem_of(outcome.error))
            log.info("a slide of a watched folder did not pass its check")
        else:
            log.warning("a slide of a watched folder cannot be read: %s", _reason(outcome.error))

    def _check(self, path: Path) -> Checked:
        try:
            check_slide_name(path.name)
        except UsageError as error:
            raise UsageError(f"{shown(path.name)}: {error}") from error
        limits = ProbeLimits(self._settings.check_seconds, self._settings.check_memory_bytes)
        with Prober(limits) as prober:
            sha256 = slide_sha256(slide_files(path))  # while the child starts
            info = prober(path).info.to_json()
        del info["path"]
        return Checked(sha256, info)

    def _deliver(self, ended: Ended, entry: WatchedEntry, tree: Path, hold: float) -> None:
        outcome = self._holding(ended.file, hold, lambda: self._put(ended, entry, tree))
        if outcome.error is not None:
            log.warning(
                "a result could not be put into its watched folder; trying again: %s",
                _reason(outcome.error),
                extra={"facts": {"job_id": ended.job_id}},
            )
        elif outcome.held is not None:
            self._files.delivered(outcome.held, outcome.value)

    def _put(self, ended: Ended, entry: WatchedEntry, tree: Path) -> Path:
        """Write what there is to tell; returns where."""
        failure, problem = entry.failure(tree), ended.problem
        if ended.location is not None:
            target = entry.result(tree)
            copies = self._settings.work_dir / "results"
            source = self._storage.local_path(ended.location, copies)
            try:
                deliver_tree(source, target)
            except InTheWayError as error:
                problem = {"title": "The result cannot be put in place", "detail": str(error)}
            else:
                failure.unlink(missing_ok=True)
                return target
        assert problem is not None
        deliver_failure(failure, ended.job_id, problem)
        return failure

    def _holding(self, row: WatchedFile, hold: float, work: Callable[[], Any]) -> _Outcome:
        """Work on a file that others keep their hands off meanwhile.

        Beside it, this thread goes on saying that it is at it: hashing gigabytes takes minutes.
        """
        held = self._files.take(row)
        if held is None:
            return _Outcome(None, None, None)
        done = threading.Event()
        result: list[Any] = []

        def attempt() -> None:
            try:
                result.append((work(), None))
            except Exception as error:  # told to the thread that waits
                result.append((None, error))
            finally:
                done.set()

        # A daemon: a network drive that hangs must not keep the process from stopping.
        threading.Thread(target=attempt, name="watch-work", daemon=True).start()
        while not done.wait(hold / 3):
            if self._stop.is_set() or held is None:
                return _Outcome(None, None, None)
            held = self._files.take(held)
        value, error = result[0]
        return _Outcome(held, value, error)

    def _package(self, model: str) -> ModelPackage:
        """The package of a name, read anew when it changed."""
        folder = self._settings.models_dir / model
        if not (folder / DESCRIPTION).exists():
            raise PackageError(model, "there is no package of this name in the models folder")
        changed = (folder / DESCRIPTION).stat().st_mtime
        known = self._packages.get(model)
        if known is None or known[0] != changed:
            self._packages[model] = known = (changed, load_package(folder))
        return known[1]

    def _complain(self, folder: Path, complaint: str) -> None:
        if self._complaints.get(folder) != complaint:
            self._complaints[folder] = complaint
            log.warning("%s", complaint)


def _reason(error: Exception) -> str:
    """An error without the paths in it: folders and files may be called like people."""
    if isinstance(error, PackageError | UsageError):
        return str(error)
    return getattr(error, "strerror", None) or type(error).__name__
