"""Finding and removing what the service no longer needs, while it runs.

Everything is decided by the database, and by nothing that could still be under way: rows go
before the bytes they point to, so a removal that is cut short leaves bytes for the next one.
"""

import contextlib
import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import sqlalchemy as sa

from wsi_pipeline.errors import UsageError
from wsi_pipeline.service.asking import job_of_subject
from wsi_pipeline.service.audit import SYSTEM, note
from wsi_pipeline.service.database import Database, now
from wsi_pipeline.service.image_files import ANSWERS, IMAGES, image_of
from wsi_pipeline.service.image_tables import images, questions
from wsi_pipeline.service.sessions import Sessions
from wsi_pipeline.service.slides import SlideState
from wsi_pipeline.service.tables import jobs, results, slides, workers
from wsi_pipeline.service.upload_files import UploadFiles
from wsi_pipeline.service.uploads import UploadStore
from wsi_pipeline.storage import Storage, StoredFile

Kind = Literal[
    "upload",
    "spooled file",
    "result",
    "result bytes",
    "slide bytes",
    "image bytes",
    "question",
    "answer picture",
    "worker",
    "session",
]

#: Bytes nobody knows are left alone for so long: their worker may be about to name them. No lease
#: lasts longer, seconds.
_YOUNG_SECONDS = 86_400.0
#: Workers that are gone are remembered for so long, seconds.
_WORKER_SECONDS = 7 * 86_400.0
SLIDES, RESULTS = "slides", "results"


@dataclass(frozen=True, slots=True)
class Waste:
    """Something that is not needed: its kind, its id or key, and the bytes it takes."""

    kind: Kind
    name: str
    size_bytes: int = 0


@dataclass(frozen=True, slots=True)
class _Stored:
    """Files below one key of the form ``KIND/…/ID``."""

    key: str
    size_bytes: int
    modified_at: float


class Garbage:
    """Looks for waste. Each method yields what it removed, or would remove.

    Args:
        database: The service's.
        storage: The service's, and no other's.
        dry: Remove nothing.
    """

    def __init__(self, database: Database, storage: Storage, *, dry: bool) -> None:
        self._database = database
        self._storage = storage
        self._dry = dry

    def uploads(self, store: UploadStore, spool: UploadFiles) -> Iterator[Waste]:
        """Uploads nobody continued, and files of the spool nobody needs."""
        sizes = {path.name: path for path in spool.folder.iterdir()}
        ended = store.late() if self._dry else store.expire()
        yield from (Waste("upload", upload_id) for upload_id in ended)
        keep = store.spooled() - set(ended)
        waste = {name: path for name, path in sizes.items() if name.partition(".")[0] not in keep}
        measured = {name: _size(path) for name, path in waste.items()}
        names = list(measured) if self._dry else spool.sweep(store.spooled)
        yield from (Waste("spooled file", name, measured.get(name, 0)) for name in names)

    def results(self) -> Iterator[Waste]:
        """Results no job points to any more."""
        named = sa.exists().where(jobs.c.result_id == results.c.id)
        wanted = sa.select(results.c.id, results.c.location).where(~named)
        with self._database.read() as connection:
            found = connection.execute(wanted).all()
        for result_id, location in found:
            size = sum(file.size_bytes for file in self._storage.list(location))
            if not self._dry:
                try:
                    with self._database.write() as connection:
                        gone = results.delete().where(results.c.id == result_id, ~named)
                        if connection.execute(gone).rowcount == 0:
                            continue  # a job has just been given it
                        note(connection, SYSTEM, "result.remove", result_id)
                except sa.exc.IntegrityError:
                    continue  # likewise, on PostgreSQL
                self._storage.delete(location)
            yield Waste("result", result_id, size)

    def result_bytes(self) -> Iterator[Waste]:
        """Masks that were stored but never published: their worker died or was overtaken."""
        with self._database.read() as connection:
            locations = connection.execute(sa.select(results.c.location)).scalars()
            known = {_head(location, 2) for location in locations}
        # Listed after the database was asked; what came in between is young.
        for tree in _grouped(self._storage.list(RESULTS), 2):
            if tree.key not in known and tree.modified_at < time.time() - _YOUNG_SECONDS:
                yield from self._remove("result bytes", tree)

    def slide_bytes(self) -> Iterator[Waste]:
        """Bytes of slides that were deleted or never accepted."""
        listed = list(_grouped(self._storage.list(SLIDES), 3))
        with self._database.read() as connection:
            rows = connection.execute(
                sa.select(slides.c.id, slides.c.state, slides.c.location).where(
                    slides.c.state.in_([SlideState.CHECKING, SlideState.READY])
                )
            ).all()
        checking = {row.id for row in rows if row.state == SlideState.CHECKING}
        known = {_head(row.location, 3) for row in rows if row.location}
        for stored in listed:
            # SLIDES/<sha256>/<id of the slide it was stored for>: only that one's check may
            # still name it, and once no slide does, none can come to share it.
            if stored.key not in known and stored.key.rpartition("/")[2] not in checking:
                yield from self._remove("slide bytes", stored)

    def image_bytes(self) -> Iterator[Waste]:
        """Bytes of images that were deleted or never accepted, and small pictures of them."""
        # Each image has bytes of its own: IMAGES/<sha256>/<id>, and files beside them.
        with self._database.read() as connection:
            there = sa.select(images.c.location).where(images.c.state != "deleted")
            known = set(connection.execute(there).scalars())
        for stored in _grouped(self._storage.list(IMAGES), 3):
            young = stored.modified_at >= time.time() - _YOUNG_SECONDS
            if not young and image_of(stored.key) not in known:
                yield from self._remove("image bytes", stored)

    def questions(self) -> Iterator[Waste]:
        """Questions about tiles of jobs that were deleted."""
        job = sa.exists().where(jobs.c.id == job_of_subject())
        of_nothing = sa.and_(questions.c.kind == "why", ~job)
        with self._database.write() as connection:
            gone = list(connection.execute(sa.select(questions.c.id).where(of_nothing)).scalars())
            if not self._dry:
                connection.execute(questions.delete().where(of_nothing))
        yield from (Waste("question", question_id) for question_id in gone)

    def answer_pictures(self) -> Iterator[Waste]:
        """Pictures that no question has as its answer any more, or ever had."""
        with self._database.read() as connection:
            named = sa.select(questions.c.picture).where(questions.c.picture.is_not(None))
            known = set(connection.execute(named).scalars())
        for stored in _grouped(self._storage.list(ANSWERS), 3):
            young = stored.modified_at >= time.time() - _YOUNG_SECONDS
            if not young and stored.key not in known:
                yield from self._remove("answer picture", stored)

    def workers(self) -> Iterator[Waste]:
        """What is remembered of workers that are long gone."""
        old = workers.c.seen_at < now() - _WORKER_SECONDS
        with self._database.write() as connection:
            gone = list(connection.execute(sa.select(workers.c.id).where(old)).scalars())
            if not self._dry:
                connection.execute(workers.delete().where(workers.c.id.in_(gone)))
        yield from (Waste("worker", worker_id) for worker_id in gone)

    def sessions(self, store: Sessions) -> Iterator[Waste]:
        """Browser sessions that are over."""
        gone = store.over() if self._dry else store.forget()
        yield from (Waste("session", session_id) for session_id in gone)

    def check_belongs(self) -> None:
        """Check that the storage is this database's.

        Raises:
            UsageError: it holds things, and the database never knew a slide or image of them.
        """
        kept = [*_grouped(self._storage.list(SLIDES), 3), *_grouped(self._storage.list(IMAGES), 3)]
        stored = {image_of(one.key).rpartition("/")[2] for one in kept}
        if not stored and next(iter(self._storage.list(RESULTS)), None) is None:
            return
        with self._database.read() as connection:
            ids = sa.union_all(sa.select(slides.c.id), sa.select(images.c.id))
            known = set(connection.execute(ids).scalars())
        if not (known & stored if stored else known):
            raise UsageError(
                "the storage holds slides, images or results that are not in the database: is it "
                "another service's? nothing was removed"
            )

    def _remove(self, kind: Kind, stored: _Stored) -> Iterator[Waste]:
        if not self._dry:
            self._storage.delete(stored.key)
        yield Waste(kind, stored.key, stored.size_bytes)


def _size(path: Path) -> int:
    """Bytes of a file, or of a folder's files; the service may be removing them too."""
    total = 0
    for file in (path, *path.rglob("*")):
        with contextlib.suppress(FileNotFoundError):
            total += file.lstat().st_size if file.is_file() else 0
    return total


def _head(key: str, depth: int) -> str:
    """The first parts of a key."""
    return "/".join(key.split("/")[:depth])


def _grouped(files: Iterator[StoredFile], depth: int) -> Iterator[_Stored]:
    """Files by the first parts of their keys; the youngest file gives a group's age."""
    for key, group in itertools.groupby(files, lambda file: _head(file.key, depth)):
        members = list(group)
        yield _Stored(
            key,
            sum(file.size_bytes for file in members),
            max(file.modified_at for file in members),
        )
