"""Uploads: what was promised, how much of it is safe, and the room there is for more.

The offset here is the truth. Bytes are written and fsynced first and counted afterwards, so
whatever lies on disk beyond the offset was never acknowledged and is written again. The last
bytes and the slide they make are one transaction: there is no upload that is complete without a
slide, and none that made two.
"""

from typing import Any

import sqlalchemy as sa

from wsi_pipeline.service.access import Access
from wsi_pipeline.service.audit import SYSTEM, note
from wsi_pipeline.service.database import Database, now
from wsi_pipeline.service.jobs.requests import ConflictError, NotThereError
from wsi_pipeline.service.quota import Quota, TooLargeError
from wsi_pipeline.service.slides import Slide, SlideState, insert_slide
from wsi_pipeline.service.tables import new_id, slides, uploads
from wsi_pipeline.service.upload import GoneError, Upload, UploadState

#: How long an upload that is over is remembered, seconds: later its address is unknown, not gone.
_REMEMBERED_SECONDS = 30 * 86400.0


class UploadStore:
    """What is known of uploads; each call sees the caller's workspace only.

    Args:
        database: Holds it.
        max_bytes: Most bytes of one slide.
        quota_bytes: Most bytes of a workspace; 0 for no limit.
        expiry_seconds: An upload nobody continued for so long is gone.
    """

    def __init__(
        self, database: Database, *, max_bytes: int, quota_bytes: int, expiry_seconds: float
    ) -> None:
        self._database = database
        self.max_bytes = max_bytes
        self._quota = Quota(quota_bytes)
        self.expiry_seconds = expiry_seconds

    def create(
        self,
        actor: Access,
        name: str,
        length: int,
        metadata: str = "",
        lifetime_seconds: float | None = None,
    ) -> Upload:
        """Promise room for an upload before any byte of it is taken.

        Args:
            actor: Who uploads.
            name: What the slide is called.
            length: Bytes in all.
            metadata: Kept as it is.
            lifetime_seconds: Until it expires if nothing happens; None is the store's rule.

        Raises:
            TooLargeError: the slide, or the workspace with it, would be too large.
        """
        lifetime = self.expiry_seconds if lifetime_seconds is None else lifetime_seconds
        values = {
            "id": new_id(),
            "workspace_id": actor.workspace_id,
            "name": name,
            "length": length,
            "metadata": metadata,
            "state": UploadState.OPEN,
            "created_at": now(),
            "expires_at": now() + lifetime,
        }
        with self._database.write() as connection:
            self._make_room(connection, actor.workspace_id, length)
            made = uploads.insert().values(**values).returning(uploads)
            upload = Upload.of(connection.execute(made).mappings().one())
            note(connection, actor, "upload.create", upload.id, bytes=length)
            return upload

    def get(self, access: Access, upload_id: str) -> Upload:
        """One upload, open or complete.

        Raises:
            NotThereError: there is none.
            GoneError: it expired or was given up.
        """
        with self._database.read() as connection:
            return self._upload(connection, access, upload_id)

    def advance(self, actor: Access, upload: Upload, offset: int, source: str) -> Upload:
        """Count bytes that are on disk; with the last of them the upload becomes a slide.

        Args:
            actor: Who uploads.
            upload: The upload as it was known when the bytes were written.
            offset: Bytes that are safe now.
            source: Where all of them are, for the slide.

        Raises:
            ConflictError: the offset is not what it was; somebody else wrote.
            GoneError: the upload expired or was given up meanwhile.
        """
        with self._database.write() as connection:
            changed = (
                uploads.update()
                .where(
                    uploads.c.id == upload.id,
                    uploads.c.state == UploadState.OPEN,
                    uploads.c.offset == upload.offset,
                    uploads.c.length == upload.length,
                )
                .values(offset=offset, expires_at=now() + self.expiry_seconds)
                .returning(uploads)
            )
            row = connection.execute(changed).mappings().first()
            if row is None:
                self._upload(connection, actor, upload.id)
                raise ConflictError("the upload was continued by another request meanwhile")
            if offset < upload.length:
                return Upload.of(row)
            slide = insert_slide(connection, actor, upload.name, source, upload.length)
            finished = (
                uploads.update()
                .where(uploads.c.id == upload.id)
                .values(state=UploadState.COMPLETE, slide_id=slide.id)
                .returning(uploads)
            )
            return Upload.of(connection.execute(finished).mappings().one())

    def resize(self, actor: Access, upload: Upload, length: int) -> Upload:
        """Change what an upload is promised, while its length is not yet known.

        Raises:
            TooLargeError: there is no room for that.
            GoneError: the upload is over.
        """
        with self._database.write() as connection:
            self._make_room(connection, actor.workspace_id, length, besides=upload.id)
            return self._still_open(connection, actor, upload, {"length": length})

    def extend(self, actor: Access, upload: Upload, lifetime_seconds: float) -> Upload:
        """Put the end of an upload off that is being written.

        Raises:
            GoneError: it is over.
        """
        with self._database.write() as connection:
            values = {"expires_at": now() + lifetime_seconds}
            return self._still_open(connection, actor, upload, values)

    def terminate(self, actor: Access, upload_id: str) -> None:
        """Give an upload up; its bytes are the caller's to remove.

        Raises:
            NotThereError: there is none.
            GoneError: it is over already.
            ConflictError: it is complete and has become a slide.
        """
        with self._database.write() as connection:
            upload = self._upload(connection, actor, upload_id)
            changed = connection.execute(
                uploads.update()
                .where(uploads.c.id == upload_id, uploads.c.state == UploadState.OPEN)
                .values(state=UploadState.TERMINATED, expires_at=now())
            )
            if changed.rowcount == 0:
                raise ConflictError(
                    f"the upload is complete; delete slide {upload.slide_id} instead"
                )
            note(connection, actor, "upload.terminate", upload_id)

    def expire(self) -> list[str]:
        """End the uploads whose time is up; returns their ids. Forgets what ended long ago."""
        with self._database.write() as connection:
            ended = (
                uploads.update()
                .where(uploads.c.state == UploadState.OPEN, uploads.c.expires_at < now())
                .values(state=UploadState.EXPIRED)
                .returning(uploads.c.id)
            )
            ids = list(connection.execute(ended).scalars())
            connection.execute(
                uploads.delete().where(
                    uploads.c.state != UploadState.OPEN,
                    uploads.c.expires_at < now() - _REMEMBERED_SECONDS,
                )
            )
            # Last: on PostgreSQL the log is locked from here on.
            for upload_id in ids:
                note(connection, SYSTEM, "upload.expire", upload_id)
            return ids

    def late(self) -> list[str]:
        """Ids of the uploads :meth:`expire` would end."""
        wanted = sa.select(uploads.c.id).where(
            uploads.c.state == UploadState.OPEN, uploads.c.expires_at < now()
        )
        with self._database.read() as connection:
            return list(connection.execute(wanted).scalars())

    def admit(self, actor: Access, name: str, source: str, size_bytes: int) -> Slide:
        """A slide whose bytes the service will fetch by itself from ``source``.

        Raises:
            TooLargeError: there is no room for them.
        """
        with self._database.write() as connection:
            self._make_room(connection, actor.workspace_id, size_bytes)
            return insert_slide(connection, actor, name, source, size_bytes)

    def room(self, workspace_id: str) -> int:
        """Bytes the workspace may still fill with one slide."""
        with self._database.read() as connection:
            left = self._quota.left(connection, workspace_id)
            return self.max_bytes if left is None else min(self.max_bytes, left)

    def spooled(self) -> set[str]:
        """Names of the files and folders in the spool that somebody still needs."""
        with self._database.read() as connection:
            names = set(
                connection.execute(
                    sa.select(uploads.c.id).where(uploads.c.state == UploadState.OPEN)
                ).scalars()
            )
            waiting = sa.select(slides.c.id, slides.c.source).where(
                slides.c.state == SlideState.CHECKING
            )
            for slide_id, source in connection.execute(waiting):
                names |= {slide_id, str(source).rpartition("/")[2]}
            return names

    def _upload(self, connection: sa.Connection, access: Access, upload_id: str) -> Upload:
        wanted = sa.select(uploads, now().label("at")).where(
            uploads.c.id == upload_id, uploads.c.workspace_id == access.workspace_id
        )
        row = connection.execute(wanted).mappings().first()
        if row is None:
            raise NotThereError(f"there is no upload {upload_id}")
        upload = Upload.of(row)
        late = upload.state is UploadState.OPEN and upload.expires_at < row["at"]
        if upload.state is UploadState.EXPIRED or late:
            raise GoneError(f"upload {upload_id} was not continued in time and has expired")
        if upload.state is UploadState.TERMINATED:
            raise GoneError(f"upload {upload_id} was cancelled")
        return upload

    def _still_open(
        self, connection: sa.Connection, actor: Access, upload: Upload, values: dict[str, Any]
    ) -> Upload:
        changed = (
            uploads.update()
            .where(uploads.c.id == upload.id, uploads.c.state == UploadState.OPEN)
            .values(**values)
            .returning(uploads)
        )
        row = connection.execute(changed).mappings().first()
        if row is None:
            self._upload(connection, actor, upload.id)
            raise ConflictError("the upload is complete")
        return Upload.of(row)

    def _make_room(
        self, connection: sa.Connection, workspace_id: str, wanted: int, besides: str | None = None
    ) -> None:
        """Check that so many bytes may come, and keep others from the same room meanwhile."""
        if wanted > self.max_bytes:
            raise TooLargeError(
                f"a slide of {wanted:,} bytes is more than the {self.max_bytes:,} that are allowed"
            )
        self._quota.make_room(connection, workspace_id, wanted, besides)
