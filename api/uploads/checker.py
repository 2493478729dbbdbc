"""Checks what was uploaded: some slides at a time, in threads, each through its own inspection.

Several processes share the work by a lock file for each slide. What was begun when a process ends
is begun again by the next one that finds it.
"""

import fcntl
import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from starlette.requests import Request

from api.dependencies import Services
from api.slides.links import OBJECT
from api.uploads.check_order import CheckOrder
from api.uploads.inspection import Inspector
from wsi_pipeline.service.logs import bound
from wsi_pipeline.service.slides import LINKED, Slide, SlideState
from wsi_pipeline.slide.sandbox import Sandbox

log = logging.getLogger(__name__)

#: How often slides of other processes, and ended uploads, are looked for, seconds.
_LOOK_SECONDS = 2.0
_SWEEP_SECONDS = 60.0
#: No request brings an image for so long.
_ABANDONED_SECONDS = 3600.0
#: After a failure that is not the slide's, seconds; doubled each time up to the last.
_RETRY_SECONDS, _RETRY_MOST_SECONDS = 5.0, 600.0
#: Imported once, while the first upload comes.
_MODULES = ("wsi_pipeline.slide.probe", "wsi_pipeline.slide.bundle")


class Checker:
    """Begins checks as there are slides and places, each in a thread of its own.

    Args:
        services: The application's parts.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._order = CheckOrder(services.settings.checks)
        self._sandbox = Sandbox(*_MODULES)
        self._inspector = Inspector(services, self._sandbox)
        self._wake = threading.Event()
        self._stopping = threading.Event()
        # A child may take minutes; a check that is abandoned is done again after the next start.
        self._thread = threading.Thread(target=self._run, name="checker", daemon=True)
        self._lock = threading.Lock()
        #: Under the lock: slides being checked, with their threads, and those that could not be
        #: checked for no fault of theirs: not before which time, and how long they had to wait.
        self._running: dict[str, tuple[Slide, threading.Thread]] = {}
        self._later: dict[str, tuple[float, float]] = {}

    @staticmethod
    def of(request: Request) -> "Checker":
        """The application's, for routes."""
        return cast("Checker", request.app.state.checker)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, seconds: float = 5.0) -> None:
        """Begin nothing more, and wait so long for what has begun."""
        deadline = time.monotonic() + seconds
        self._stopping.set()
        self._wake.set()
        with self._lock:
            threads = [thread for _, thread in self._running.values()]
        if self._thread.ident is not None:
            threads.append(self._thread)
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        self._sandbox.close()

    def wake(self) -> None:
        """Something is to be checked, now or soon; need not be called, but saves waiting."""
        self._wake.set()

    def clean(self) -> None:
        """End uploads nobody continued, and remove files nobody needs."""
        self._services.uploads.expire()
        waste = self._services.upload_files.sweep(self._services.uploads.spooled)
        waste += self._services.image_files.sweep_old(_ABANDONED_SECONDS)
        if waste:
            log.info("removed from the spool", extra={"facts": {"files": len(waste)}})

    def _run(self) -> None:
        cleaned_at = float("-inf")
        while not self._stopping.is_set():
            self._wake.clear()
            try:
                if time.monotonic() - cleaned_at > _SWEEP_SECONDS:
                    self.clean()
                    cleaned_at = time.monotonic()
                self._begin_some()
            except Exception:  # the database may be away; this thread must not end
                if not self._stopping.is_set():
                    log.exception("checking slides failed; it goes on")
            if self._wake.wait(_LOOK_SECONDS) and not self._stopping.is_set():
                self._sandbox.start()  # it imports while the bytes of an upload come

    def _begin_some(self) -> None:
        """Begin as many checks as there are places for."""
        found = self._services.slides.checking()
        with self._lock:
            self._later = {s.id: self._later[s.id] for s in found if s.id in self._later}
            now = time.monotonic()
            waiting = {
                slide.id: slide
                for slide in found
                if slide.id not in self._running and self._later.get(slide.id, (0.0,))[0] <= now
            }
            while not self._stopping.is_set():
                running = [slide for slide, _ in self._running.values()]
                chosen = self._order.choose(waiting.values(), running)
                if chosen is None:
                    return
                del waiting[chosen.id]
                thread = threading.Thread(
                    target=self._check, args=(chosen,), name="check", daemon=True
                )
                # It may fail where the host has no more threads; then the slide still waits.
                # Started first, it cannot end sooner: that takes the lock.
                thread.start()
                self._running[chosen.id] = chosen, thread

    def _check(self, slide: Slide) -> None:
        wait = 0.0
        try:
            with bound(slide_id=slide.id), self._locked(slide.id) as mine:
                if not mine:
                    wait = _LOOK_SECONDS
                elif not self._here(slide):
                    wait = _RETRY_MOST_SECONDS
                else:
                    self._inspector.inspect(slide)
        except Exception:  # neither disk nor storage failing makes the slide a bad one
            with self._lock:
                wait = min(2 * self._later.get(slide.id, (0, 0.0))[1], _RETRY_MOST_SECONDS)
            wait = max(wait, _RETRY_SECONDS)
            if not self._stopping.is_set():
                log.exception("slide cannot be checked now; it is tried again")
        finally:
            with self._lock:
                del self._running[slide.id]
                if wait:
                    self._later[slide.id] = time.monotonic() + wait, wait
            # There is a place now.
            self._wake.set()

    def _here(self, slide: Slide) -> bool:
        """Whether the bytes can be reached from this host."""
        source = slide.source or ""
        if source.startswith((LINKED, OBJECT)) or Path(source).is_file():
            return True
        with self._lock:
            told = slide.id in self._later
        if not told:
            log.warning("slide waits on another host")
        return False

    @contextmanager
    def _locked(self, slide_id: str) -> Iterator[bool]:
        """Hold a slide against other processes; False if one has it or is through with it."""
        path = self._services.upload_files.path(f"{slide_id}.lock")
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            yield False
            return
        try:
            # Whoever had it before may have finished since the list was made.
            yield self._services.slides.state_of(slide_id) is SlideState.CHECKING
        finally:
            path.unlink(missing_ok=True)
            os.close(descriptor)
