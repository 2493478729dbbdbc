"""One service, from a program: upload, submit, wait, fetch."""

import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import platformdirs

from wsi_pipeline.analysis_settings import DEFAULT_MODEL
from wsi_pipeline.client import download, upload
from wsi_pipeline.client.connection import Connection
from wsi_pipeline.client.exports import EXPORTS, OF_A_CLASS, Export
from wsi_pipeline.client.images import Images
from wsi_pipeline.client.job_events import JobEvents
from wsi_pipeline.client.records import (
    DrawnSlide,
    Event,
    JobRecord,
    ModelRecord,
    SharedMask,
    SlideRecord,
)
from wsi_pipeline.client.store import unpack_store
from wsi_pipeline.client.upload_file import upload_file
from wsi_pipeline.client.upload_records import UploadRecords
from wsi_pipeline.errors import UsageError

#: How often a slide that is being checked is asked after, seconds.
_FIRST_POLL_SECONDS, _LONGEST_POLL_SECONDS = 0.1, 2.0
_APP = "wsi-pipeline"


class Client:
    """A service. Safe to share between threads.

    Requests are repeated over lost lines and restarts of the server; what changes something
    carries a key by which the service knows a repetition.

    Args:
        url: Its address; the one ``wsi serve`` prints, with the token in it, will do.
        token: An API key; None if the address holds it.
        patience_seconds: How long the service may stay away.
        state_dir: Where unfinished uploads are remembered; None is the platform's usual place.
        chunk_bytes: Bytes of an upload that are acknowledged at a time.
        tell: Called with the reason and the seconds before each wait for the service.

    Attributes:
        images: Single images of the service.

    Raises:
        UsageError: the address is not one of a web server.
    """

    def __init__(
        self,
        url: str,
        token: str | None = None,
        *,
        patience_seconds: float = 300.0,
        state_dir: Path | None = None,
        chunk_bytes: int = upload.CHUNK_BYTES,
        tell: Callable[[str, float], None] | None = None,
    ) -> None:
        self._connection = Connection(url, token, patience_seconds=patience_seconds, tell=tell)
        folder = state_dir or platformdirs.user_state_path(_APP) / "uploads"
        self.images = Images(self._connection)
        self._uploader = upload.Uploader(self._connection, UploadRecords(folder), chunk_bytes)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close every line to the service."""
        self._connection.close()

    def upload(
        self,
        path: Path | str,
        *,
        name: str | None = None,
        progress: upload.Progress | None = None,
    ) -> SlideRecord:
        """Send a slide; cut off, the same call goes on where it was, also in a new process.

        Args:
            path: A slide file. An MRXS file with its folder, or a folder of DICOM files, is
                packed into a ZIP first.
            name: What to call it; None takes the file's name.
            progress: Called with the bytes that are safe and the bytes in all.

        Returns:
            The slide; the service goes on checking it. A job may be submitted at once.

        Raises:
            UsageError: there is no such slide.
            TransferError: the file changed while it was sent.
            RefusedError: the service does not take it.
            UnreachableError: the service stayed away for too long.
        """
        given = Path(path)
        with upload_file(given, name) as packed:
            return self.slide(self._uploader.send(given, packed, progress))

    def slide(self, slide_id: str) -> SlideRecord:
        """One slide.

        Raises:
            RefusedError: there is none.
        """
        return SlideRecord.of(self._connection.request("GET", f"/v1/slides/{slide_id}").json())

    def wait_slide(self, slide_id: str, *, timeout_seconds: float | None = None) -> SlideRecord:
        """Wait until a slide has been checked; ``state`` says how that ended.

        Raises:
            TimeoutError: it has not been checked in time.
            RefusedError: there is no such slide.
            UnreachableError: the service stayed away for too long.
        """
        deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        pause = _FIRST_POLL_SECONDS
        while (slide := self.slide(slide_id)).state == "checking":
            if deadline is not None and time.monotonic() > deadline:
                raise TimeoutError(f"slide {slide_id} has not been checked yet")
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_POLL_SECONDS)
        return slide

    def slides(self, *, search: str = "", limit: int = 50, offset: int = 0) -> list[SlideRecord]:
        """Slides of the workspace whose names contain ``search``, newest first."""
        params: dict[str, Any] = {"limit": limit, "offset": offset}
        if search:
            params["search"] = search
        told = self._connection.request("GET", "/v1/slides", params=params).json()
        return [SlideRecord.of(slide) for slide in told["slides"]]

    def drawn_slides(self) -> list[DrawnSlide]:
        """Slides of the workspace that people drew on, by name."""
        told = self._connection.request("GET", "/v1/drawings").json()
        return [DrawnSlide.of(slide) for slide in told["slides"]]

    def drawings(
        self, slide_id: str, *, ending: str = "geojson", author: str | None = None
    ) -> bytes:
        """What the drawings on a slide come to, as a file in level-0 px.

        Args:
            slide_id: Of the slide.
            ending: ``geojson`` for QuPath, ``xml`` for ASAP.
            author: Id of the key whose drawings are wanted; None: everybody's.

        Raises:
            RefusedError: there is no such slide, or it is not ready.
        """
        params = {} if author is None else {"author": author}
        path = f"/v1/slides/{slide_id}/drawings.{ending}"
        return self._connection.request("GET", path, params=params).content

    def models(self) -> list[ModelRecord]:
        """Model packages that the service has, by name."""
        told = self._connection.request("GET", "/v1/models").json()
        return [ModelRecord.of(model) for model in told["models"]]

    def submit(
        self,
        slide_id: str,
        model: str = DEFAULT_MODEL,
        *,
        idempotency_key: str | None = None,
        **settings: Any,
    ) -> JobRecord:
        """Queue an analysis; repeated over lost lines it is still made once.

        Args:
            slide_id: The slide, checked or not.
            model: Name of a model package of the service.
            idempotency_key: The same key and request give the same job; None makes a new one.
            settings: ``mpp``, ``level``, ``stride``, ``threshold``, ``tta``, ``priority``,
                ``webhook`` and the others of the API; None and what is left out is the service's
                choice.

        Raises:
            RefusedError: the service does not take it.
            UnreachableError: the service stayed away for too long.
        """
        return self._submit(_order(slide_id, model, settings), idempotency_key)[0]

    def submit_all(
        self,
        slide_ids: Sequence[str],
        model: str = DEFAULT_MODEL,
        *,
        idempotency_key: str | None = None,
        **settings: Any,
    ) -> list[JobRecord]:
        """As :meth:`submit` for many slides at once, all or none."""
        orders = [_order(slide_id, model, settings) for slide_id in slide_ids]
        return self._submit({"jobs": orders}, idempotency_key)

    def jobs(
        self, *, state: str | None = None, limit: int = 50, offset: int = 0
    ) -> list[JobRecord]:
        """Jobs of the workspace, newest first.

        Args:
            state: ``queued``, ``running``, ``succeeded``, ``failed`` or ``cancelled``; None: all.
            limit: How many at most.
            offset: How many of the newest to leave out.
        """
        params: dict[str, Any] = {"limit": limit, "offset": offset}
        if state is not None:
            params["state"] = state
        told = self._connection.request("GET", "/v1/jobs", params=params).json()
        return [JobRecord.of(job) for job in told["jobs"]]

    def status(self, job_id: str) -> JobRecord:
        """Where a job stands.

        Raises:
            RefusedError: there is none.
        """
        return JobEvents(self._connection, job_id).status()

    def wait(
        self,
        job_id: str,
        *,
        progress: Callable[[JobRecord], None] | None = None,
        timeout_seconds: float | None = None,
    ) -> JobRecord:
        """Wait until a job is over, by its events, or by asking where those do not get through.

        Args:
            job_id: The job.
            progress: Called when something changed.
            timeout_seconds: Longest wait; None waits for ever.

        Returns:
            The job as it ended: ``state`` says how.

        Raises:
            TimeoutError: it is not over in time.
            RefusedError: there is no such job.
            UnreachableError: the service stayed away for too long.
        """
        following = JobEvents(self._connection, job_id, timeout_seconds)
        for job in following.changes():
            if progress is not None:
                progress(job)
        return job

    def events(self, job_id: str, *, after: str = "") -> Iterator[Event]:
        """What happens to a job, as it happens, until it is over.

        Args:
            job_id: The job.
            after: Id of the last event that is known already.

        Raises:
            RefusedError: there is no such job.
            UnreachableError: the service stayed away for too long.
        """
        return JobEvents(self._connection, job_id).events(after)

    def cancel(self, job_id: str) -> JobRecord:
        """Give a job up; one that runs stops within seconds.

        Raises:
            RefusedError: there is none, or it is over already.
        """
        told = self._connection.request("POST", f"/v1/jobs/{job_id}/cancel").json()
        return JobRecord.of(told)

    def result(self, job_id: str) -> dict[str, Any]:
        """Score, areas, regions, alarms and provenance of a job's result.

        Raises:
            RefusedError: there is no result.
        """
        told: dict[str, Any] = self._connection.request("GET", f"/v1/jobs/{job_id}/result").json()
        return told

    def share(self, job_id: str, *, hours: int = 168) -> SharedMask:
        """An address of a job's mask for viewers that can send no key.

        Whoever has it may read the mask, until it ends or the key it was made with does.

        Args:
            job_id: A job that succeeded.
            hours: How long it lasts; at most 30 days.

        Raises:
            RefusedError: there is no result, or the key may not share it.
        """
        path = f"/v1/jobs/{job_id}/link"
        told = self._connection.request("POST", path, json={"hours": hours}).json()
        return SharedMask(
            str(self._connection.url(told["mask"])), datetime.fromisoformat(told["expires_at"])
        )

    def fetch(
        self,
        job_id: str,
        export: Export,
        target: Path | str,
        *,
        of: str | None = None,
        progress: download.Progress | None = None,
    ) -> Path:
        """Fetch part of a result; it appears under its name when its checksums are verified.

        Args:
            job_id: A job that succeeded.
            export: ``mask`` is the OME-Zarr store as a folder, ``zip`` the same in one file;
                ``heatmap``, ``geojson``, ``csv`` and ``tiff`` are files.
            target: Where it goes; a file there is replaced, a folder is not.
            of: The class that ``heatmap`` or ``tiff`` is of; None takes the positive one.
            progress: Called with the bytes that are here and the bytes in all.

        Raises:
            UsageError: there is no such export, it is not of one class, or ``target`` is in the
                way.
            RefusedError: there is no result, or it has no such class.
            TransferError: what arrived is not what was sent.
            UnreachableError: the service stayed away for too long.
        """
        if export not in EXPORTS:
            raise UsageError(f"there is no export {export!r}; there are {', '.join(EXPORTS)}")
        place = Path(target)
        if place.is_dir():
            raise UsageError(f"{place} exists already")
        if not place.absolute().parent.is_dir():
            raise UsageError(f"there is no folder {place.absolute().parent}")
        path = f"/v1/jobs/{job_id}/{EXPORTS[export]}"
        if of is not None:
            if export not in OF_A_CLASS:
                raise UsageError(f"the export {export} is of all classes, not of {of!r}")
            path += f"?class={quote(of, safe='')}"
        if export != "mask":
            return download.download(self._connection, path, place, progress)
        if place.exists():
            raise UsageError(f"{place} exists already")
        packed = place.with_name(f".{place.name}.zip")
        download.download(self._connection, path, packed, progress)
        try:
            unpack_store(packed, place)
        finally:
            packed.unlink(missing_ok=True)
        return place

    def _submit(self, order: Mapping[str, Any], key: str | None) -> list[JobRecord]:
        headers = {"Idempotency-Key": key or uuid.uuid4().hex}
        told = self._connection.request("POST", "/v1/jobs", json=order, headers=headers).json()
        return [JobRecord.of(job) for job in told.get("jobs", [told])]


def _order(slide_id: str, model: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    given = {name: value for name, value in settings.items() if value is not None}
    return {"slide_id": slide_id, "model": model, **given}
