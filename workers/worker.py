"""The worker: takes a job, has it analysed by its process, publishes the result, and so on.

It computes nothing itself, so that it can always answer: a cancelled job, a lost lease and an
order to stop end the analysis by killing its process, whatever that is doing.
"""

import logging
import os
import random
import signal
import threading
import time
from typing import Any

import sqlalchemy as sa

from workers.lease import Lease
from workers.messages import Failed, Logged, Order, Progress, Ready, Stored, WorkerSetup
from workers.process import ChildProcess, Ended
from workers.publication import Publication
from workers.registration import Registration
from workers.scratch import Scratch, work_name
from wsi_pipeline.service import logs
from wsi_pipeline.service.database import Database
from wsi_pipeline.service.jobs.job import Claim, Renewal
from wsi_pipeline.service.jobs.queue import MAX_ATTEMPTS, JobQueue
from wsi_pipeline.service.settings import ServiceSettings
from wsi_pipeline.storage import Storage

log = logging.getLogger(__name__)

#: Bounds of the time between two looks into an empty queue, seconds: apart from each other, so
#: that workers do not all come at once.
_IDLE_SECONDS = (0.2, 0.5)
#: How often what happened is looked at during an analysis, seconds.
_LOOK_SECONDS = 0.2
#: How often folders nobody needs are looked for, seconds.
_SWEEP_SECONDS = 60.0
#: Longest an analysis may say nothing, seconds: then it hangs.
_SILENT_SECONDS = 3600.0
#: Waits after the analysis process could not start, or the database could not be reached, seconds.
_TROUBLE_SECONDS = (1.0, 30.0)


class Worker:
    """One worker; :meth:`run` is its life.

    Args:
        settings: The service's.
        database: The service's.
        storage: The service's.
    """

    def __init__(self, settings: ServiceSettings, database: Database, storage: Storage) -> None:
        self._lease_seconds = settings.lease_seconds
        self._queue = JobQueue(database, settings.lease_seconds)
        self._storage = storage
        self._scratch = Scratch(settings.work_dir / "analyses")
        self._process = ChildProcess("workers.analysis", WorkerSetup.of(settings))
        self._registration = Registration(database)
        self._ready = False
        self._swept_at = float("-inf")
        self._trouble = _TROUBLE_SECONDS[0]

    def run(self, stop: threading.Event) -> None:
        """Work until told to stop; a job that is being worked on is then given back.

        The analysis process dies with the thread that calls this.
        """
        with logs.bound(worker_id=self._registration.worker_id):
            try:
                self._enlist(stop)
                while not stop.is_set():
                    try:
                        self._turn(stop)
                    except sa.exc.SQLAlchemyError as error:
                        self._process.kill()
                        self._ready = False
                        log.warning("the database cannot be reached", exc_info=error)
                        self._pause(stop)
            finally:
                self._process.kill()
                self._registration.end()

    def _enlist(self, stop: threading.Event) -> None:
        """Wait until analyses are possible, and say that this worker is there."""
        while not stop.is_set() and not self._ready:
            self._get_ready(stop)
        while not stop.is_set():
            try:
                self._registration.begin()
            except sa.exc.SQLAlchemyError as error:
                log.warning("the database cannot be reached", exc_info=error)
                self._pause(stop)
            else:
                log.info("worker ready")
                return

    def _turn(self, stop: threading.Event) -> None:
        """Work on the next job, or wait a moment for one."""
        if not self._ready:
            self._get_ready(stop)
            return
        claim = self._queue.claim(self._registration.worker_id)
        if claim is None:
            self._sweep()
            # Also told if the process dies meanwhile.
            if isinstance(self._hear(random.uniform(*_IDLE_SECONDS)), Ended):
                self._ready = False
            return
        with logs.bound(job_id=claim.job.id):
            self._registration.works_on(claim.job.id)
            try:
                self._work_on(claim, stop)
                self._trouble = _TROUBLE_SECONDS[0]
            except OSError as error:
                # Of this host, not of the job: a full disk. Another may have room; and another job,
                # which may need less of it, comes first when this worker is back.
                log.warning("job given back", exc_info=error)
                self._process.kill()
                self._ready = False
                self._queue.release(claim.job, wait_seconds=2 * self._trouble)
                self._pause(stop)
            finally:
                self._registration.works_on(None)

    def _get_ready(self, stop: threading.Event) -> None:
        """Start the analysis process; no job is claimed for one that cannot start."""
        self._process.start()
        heard = self._hear(_LOOK_SECONDS)
        if isinstance(heard, Ready):
            self._ready = True
        elif isinstance(heard, Ended):
            log.error("the analysis process cannot start", extra={"facts": {"how": heard.how}})
            self._pause(stop)

    def _work_on(self, claim: Claim, stop: threading.Event) -> None:
        name = work_name(claim.slide_sha256, claim.job.model_sha256, claim.job.fingerprint)
        log.info("job begun", extra={"facts": {"attempts": claim.job.attempts}})
        with (
            Lease(self._queue, claim.job, self._lease_seconds) as lease,
            self._scratch.hold(name) as folder,
        ):
            known = self._queue.known_result(claim)
            if known is not None and self._queue.reuse(claim, known):
                log.info("job succeeded", extra={"facts": {"by": "an earlier result"}})
                is_over = True
            else:
                publication = Publication(self._queue, self._storage, claim)
                order = Order(
                    job_id=claim.job.id,
                    slide_location=claim.slide_location,
                    slide_sha256=claim.slide_sha256,
                    model=claim.job.model,
                    model_sha256=claim.job.model_sha256,
                    config=claim.job.config,
                    fingerprint=claim.job.fingerprint,
                    folder=str(folder),
                    destination=publication.destination,
                )
                is_over = self._analyse(claim, order, lease, publication, stop)
            if is_over:
                self._scratch.remove(folder)

    def _analyse(
        self,
        claim: Claim,
        order: Order,
        lease: Lease,
        publication: Publication,
        stop: threading.Event,
    ) -> bool:
        """Have a slide analysed; returns whether nobody needs what is unfinished any more."""
        began = heard_at = time.monotonic()
        self._process.ask(order)
        while True:
            if (ending := self._reason_to_end(lease, stop, heard_at)) is not None:
                # First of all nothing may be computed any more.
                self._drop_process()
                # It may have stored all of it while this process was asleep.
                publication.withdraw()
                return self._give_up(claim, ending)
            heard = self._hear(_LOOK_SECONDS)
            if heard is None:
                continue
            heard_at = time.monotonic()
            match heard:
                case Progress():
                    lease.tell(heard)
                case Stored():
                    published = publication.publish(heard)
                    seconds = round(time.monotonic() - began, 3)
                    message = "job succeeded" if published else "job lost"
                    log.info(message, extra={"facts": {"seconds": seconds}})
                    return published
                case Failed():
                    if not heard.final:
                        self._drop_process()  # it may be what is wrong
                    publication.withdraw()
                    if heard.disk_errno is not None:
                        raise OSError(heard.disk_errno, os.strerror(heard.disk_errno))
                    return self._fail(claim, heard)
                case Ended():
                    self._ready = False
                    publication.withdraw()
                    log.error(
                        "the analysis process crashed",
                        extra={"facts": {"how": heard.how, "where": heard.where}},
                    )
                    return self._fail(claim, Failed(_crashed(heard), final=False))

    def _reason_to_end(
        self, lease: Lease, stop: threading.Event, heard_at: float
    ) -> Renewal | Failed | signal.Signals | None:
        """Why the analysis has to end before its end, if it has to."""
        if lease.ended is not None:
            return lease.ended
        if stop.is_set():
            return signal.SIGTERM
        if time.monotonic() - heard_at > _SILENT_SECONDS:
            return Failed(_HANGS, final=False)
        return None

    def _give_up(self, claim: Claim, ending: Renewal | Failed | signal.Signals) -> bool:
        """Settle a job whose analysis was killed; returns whether it is over."""
        if isinstance(ending, Failed):
            return self._fail(claim, ending)
        if ending is Renewal.CANCEL:
            log.info("job cancelled")
            return self._queue.cancelled(claim.job)
        if ending is Renewal.LOST:
            log.warning("job lost: the lease ran out")
        else:
            released = self._queue.release(claim.job)
            log.info("job given back", extra={"facts": {"released": released}})
        return False

    def _fail(self, claim: Claim, failed: Failed) -> bool:
        """End an attempt; returns whether it was the last."""
        held = self._queue.fail(claim.job, failed.problem, final=failed.final)
        is_last = failed.final or claim.job.attempts + 1 >= MAX_ATTEMPTS
        facts = {"problem": failed.problem["type"], "last": is_last, "held": held}
        log.warning("attempt failed", extra={"facts": facts})
        return held and is_last

    def _hear(self, seconds: float) -> Any:
        """What the analysis process says, but what it only wants logged."""
        heard = self._process.hear(seconds)
        if isinstance(heard, Logged):
            log.log(heard.level, "%s", heard.message, extra={"facts": heard.facts})
            return None
        return heard

    def _drop_process(self) -> None:
        """Kill the analysis process and start another: its imports take seconds."""
        self._process.kill()
        self._ready = False
        self._process.start()

    def _sweep(self) -> None:
        if time.monotonic() - self._swept_at < _SWEEP_SECONDS:
            return
        self._swept_at = time.monotonic()
        wanted = {work_name(*work) for work in self._queue.unfinished_work()}
        removed = self._scratch.sweep(wanted)
        if removed:
            log.info("unfinished work removed", extra={"facts": {"folders": removed}})

    def _pause(self, stop: threading.Event) -> None:
        stop.wait(self._trouble)
        self._trouble = min(2 * self._trouble, _TROUBLE_SECONDS[1])


_HANGS = {
    "type": "/problems/crashed",
    "title": "The analysis crashed",
    "status": 500,
    "detail": f"it made no progress for {_SILENT_SECONDS / 60:g} minutes and was killed",
}


def _crashed(ended: Ended) -> dict[str, Any]:
    return {
        "type": "/problems/crashed",
        "title": "The analysis crashed",
        "status": 500,
        "detail": f"the analysis process ended with {ended.how}; the slide may be damaged or "
        "malicious, or the memory too small",
    }
