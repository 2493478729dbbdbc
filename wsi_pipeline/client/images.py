"""Single images of a service: upload, ask a model, label, fetch the labels."""

import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import urlencode

from wsi_pipeline import durable
from wsi_pipeline.client import download
from wsi_pipeline.client.connection import Connection
from wsi_pipeline.client.store import unpack
from wsi_pipeline.errors import UsageError

#: Most images of one job, and of one page of a list.
MAX_IMAGES, _PAGE = 5000, 500
_PATH = "/v1/images"
_FIRST_POLL_SECONDS, _LONGEST_POLL_SECONDS = 0.1, 2.0
#: The table in a folder of labels.
LABELS = "labels.csv"

By = Literal["me", "everyone"]


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """One image.

    Attributes:
        name: As it was given, with folders.
        state: Of the model's answer: ``queued``, ``running``, ``answered``, ``failed`` or
            ``cancelled``; None where no model was asked.
        answer: What the model says: ``probabilities``, ``called``, ``set``, ``review`` and so on.
        problem: Why there is no answer, as a problem detail.
        label: The caller's own label.
        json: All the service told.
    """

    id: str
    name: str
    sha256: str
    state: str | None
    answer: Mapping[str, Any] | None
    problem: Mapping[str, Any] | None
    label: str | None
    json: Mapping[str, Any]

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Self:
        """From the service's JSON."""
        names = ("id", "name", "sha256", "state", "answer", "problem", "label")
        return cls(**{name: told[name] for name in names}, json=told)


@dataclass(frozen=True, slots=True)
class ImageJobRecord:
    """One model asked about many images.

    Attributes:
        state: ``running``, ``finished`` or ``cancelled``.
        total: Images.
        answered: Those with an answer.
        failed: Those without one; each says why.
        review: Those that a person has to look at again.
        json: All the service told.
    """

    id: str
    name: str
    model: str
    state: str
    total: int
    answered: int
    failed: int
    review: int
    json: Mapping[str, Any]

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Self:
        """From the service's JSON."""
        names = ("id", "name", "model", "state", "total", "answered", "failed", "review")
        return cls(**{name: told[name] for name in names}, json=told)


class Images:
    """The images of a service. Safe to share between threads.

    Every method raises :class:`RefusedError` where the service refuses, and
    :class:`UnreachableError` where it stayed away for too long.

    Args:
        connection: To the service.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def upload(
        self, path: Path | str, *, name: str | None = None, model: str | None = None
    ) -> ImageRecord:
        """Send an image; sent again, the same file is the image that is there.

        Args:
            path: Its file, at most 64 MiB.
            name: What to call it, with folders; None takes the file's name.
            model: Name of a model package: the answer comes at once if a worker is free, see
                ``state``.

        Raises:
            UsageError: there is no such file, or it is empty.
        """
        given = Path(path)
        if not given.is_file():
            raise UsageError(f"there is no image {given}")
        content = given.read_bytes()
        if not content:
            raise UsageError(f"{given} is empty")
        params = {"name": name or given.name}
        if model is not None:
            params["model"] = model
        answer = self._connection.request("PUT", _PATH, params=params, content=content)
        return ImageRecord.of(answer.json())

    def image(self, image_id: str, *, model: str | None = None) -> ImageRecord:
        """One image, with the answer of a model if that was asked."""
        params = {} if model is None else {"model": model}
        answer = self._connection.request("GET", f"{_PATH}/{image_id}", params=params)
        return ImageRecord.of(answer.json())

    def list(
        self,
        *,
        job: str | None = None,
        model: str | None = None,
        sort: str = "name",
        only: str | None = None,
        search: str = "",
    ) -> Iterator[ImageRecord]:
        """Images of the workspace; fetched in pages as they are asked for.

        Args:
            job: Only those of this job, with the answers of its model.
            model: The model whose answers are wanted.
            sort: ``name``, ``newest``, or ``doubt``: those to look at again first.
            only: ``review``, ``labelled`` or ``failed``.
            search: Part of the name.
        """
        wanted = {"job": job, "model": model, "sort": sort, "only": only, "search": search}
        params: dict[str, Any] = {name: value for name, value in wanted.items() if value}
        offset, total = 0, 1
        while offset < total:
            page = {**params, "offset": offset, "limit": _PAGE}
            told = self._connection.request("GET", _PATH, params=page).json()
            yield from (ImageRecord.of(image) for image in told["images"])
            offset, total = offset + _PAGE, told["total"]

    def submit(
        self, name: str, model: str, image_ids: Sequence[str], *, idempotency_key: str | None = None
    ) -> ImageJobRecord:
        """Ask a model about many images; repeated over lost lines it is still asked once.

        Args:
            name: What to call the job: the folder's name, for instance.
            model: Name of a model package of the service.
            image_ids: At most :data:`MAX_IMAGES`, none of them twice.
            idempotency_key: The same key and request give the same job; None makes a new one.
        """
        order = {"name": name, "model": model, "image_ids": list(image_ids)}
        headers = {"Idempotency-Key": idempotency_key or uuid.uuid4().hex}
        path = f"{_PATH}/jobs"
        answer = self._connection.request("POST", path, json=order, headers=headers)
        return ImageJobRecord.of(answer.json())

    def job(self, job_id: str) -> ImageJobRecord:
        """How far a job got."""
        return ImageJobRecord.of(self._connection.request("GET", f"{_PATH}/jobs/{job_id}").json())

    def cancel(self, job_id: str) -> ImageJobRecord:
        """Give up what waits of a job; answers stay."""
        told = self._connection.request("DELETE", f"{_PATH}/jobs/{job_id}").json()
        return ImageJobRecord.of(told)

    def wait(
        self,
        job_id: str,
        *,
        progress: Callable[[ImageJobRecord], None] | None = None,
        timeout_seconds: float | None = None,
    ) -> ImageJobRecord:
        """Wait until a job is over.

        Args:
            job_id: The job.
            progress: Called each time it was asked how far it got.
            timeout_seconds: Longest wait; None waits for ever.

        Raises:
            TimeoutError: it is not over in time.
        """
        deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        pause = _FIRST_POLL_SECONDS
        while True:
            job = self.job(job_id)
            if progress is not None:
                progress(job)
            if job.state != "running":
                return job
            if deadline is not None and time.monotonic() > deadline:
                raise TimeoutError(f"job {job_id} is not finished yet")
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_POLL_SECONDS)

    def label(self, image_id: str, label: str) -> ImageRecord:
        """Say what an image shows, in place of what the same key said before."""
        path = f"{_PATH}/{image_id}/label"
        answer = self._connection.request("PUT", path, json={"label": label})
        return ImageRecord.of(answer.json())

    def remove_label(self, image_id: str) -> None:
        """Take back what the same key said."""
        self._connection.request("DELETE", f"{_PATH}/{image_id}/label")

    def delete(self, image_id: str) -> None:
        """Remove an image, with its labels and with what models said of it."""
        self._connection.request("DELETE", f"{_PATH}/{image_id}")

    def fetch_labels(
        self,
        target: Path | str,
        *,
        job: str | None = None,
        by: By = "me",
        progress: download.Progress | None = None,
    ) -> Path:
        """Fetch labelled images and their table, as ``wsi train --images`` takes it.

        Args:
            target: The folder to be made; it appears when everything is there.
            job: Only images of this job.
            by: ``everyone`` takes the labels of all users; images about which they disagree are
                listed in ``disagreements.csv`` and left out.
            progress: Called with the bytes that are here, and None.

        Returns:
            The table in the folder.

        Raises:
            UsageError: ``target`` is there, or there is no folder to make it in.
            TransferError: what arrived is damaged.
        """
        place = Path(target)
        if place.exists():
            raise UsageError(f"{place} exists already")
        if not place.absolute().parent.is_dir():
            raise UsageError(f"there is no folder {place.absolute().parent}")
        params = {"by": by} if job is None else {"by": by, "job": job}
        packed = place.with_name(f".{place.name}.zip")
        try:
            path = f"{_PATH}/labels.zip?{urlencode(params)}"
            download.download(self._connection, path, packed, progress)
            with durable.replacing_folder(place, replace=False) as new:
                unpack(packed, new)
        finally:
            packed.unlink(missing_ok=True)
        return place / LABELS
