"""Listening to a job: its events as they happen, resumed where the line was lost."""

import time
from collections.abc import Iterable, Iterator

from wsi_pipeline.client.connection import Connection
from wsi_pipeline.client.errors import ClientError, RefusedError, UnreachableError
from wsi_pipeline.client.event_stream import Event, read_events
from wsi_pipeline.client.records import JobRecord

#: Least time between two attempts to listen, seconds.
_PAUSE_SECONDS = 0.5
#: How often a job is asked after where its events do not get through, seconds.
_POLL_SECONDS = 2.0


class JobEvents:
    """One job of a service, listened to.

    Args:
        connection: To the service.
        job_id: The job.
        timeout_seconds: Longest to listen; None listens until the job is over.
    """

    def __init__(
        self, connection: Connection, job_id: str, timeout_seconds: float | None = None
    ) -> None:
        self._connection = connection
        self._path = f"/v1/jobs/{job_id}"
        self._deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds

    def status(self) -> JobRecord:
        """Where the job stands.

        Raises:
            RefusedError: there is none.
            UnreachableError: the service stayed away for too long.
        """
        return JobRecord.of(self._connection.request("GET", self._path).json())

    def events(self, after: str = "") -> Iterator[Event]:
        """What happens, until the job is over.

        Args:
            after: Id of the last event that is known already.

        Raises:
            TimeoutError: it is not over in time.
            RefusedError: there is no such job, or no way to its events.
            UnreachableError: the service stayed away for too long.
        """
        retry = self._connection.retry()
        while True:
            # Asked first: what happened before the answer is then in the events that follow.
            over = self.status().is_final
            headers = {"Accept": "text/event-stream", "Cache-Control": "no-cache"}
            if after:
                headers["Last-Event-ID"] = after
            try:
                with self._connection.stream(f"{self._path}/events", headers) as response:
                    retry.renew()
                    for event in read_events(self._in_time(response.iter_lines())):
                        after = event.id or after
                        yield event
                if over:
                    return
                problem: ClientError = UnreachableError("the events ended before the job did")
            except UnreachableError as error:
                problem = error
            except RefusedError as error:
                if not error.passes:
                    raise
                problem = error
            retry.wait(problem, _PAUSE_SECONDS)

    def changes(self) -> Iterator[JobRecord]:
        """The job now and after everything that happens to it; the last is final.

        Where something in between lets no events through, the job is asked after instead.

        Raises:
            TimeoutError: it is not over in time.
            RefusedError: there is no such job.
            UnreachableError: the service stayed away for too long.
        """
        job = self.status()
        yield job
        try:
            for _ in self.events():
                job = self.status()
                yield job
                if job.is_final:
                    return
        except RefusedError:
            job = self.status()  # says so where it is the job that is not there
        while not job.is_final:
            self._check_time()
            time.sleep(_POLL_SECONDS)
            job = self.status()
            yield job

    def _in_time(self, lines: Iterable[str]) -> Iterator[str]:
        for line in lines:
            self._check_time()
            yield line

    def _check_time(self) -> None:
        if self._deadline is not None and time.monotonic() > self._deadline:
            raise TimeoutError("the job is not finished yet")
