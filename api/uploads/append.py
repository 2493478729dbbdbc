"""Writing one request's bytes to one upload: under a lock, checked, made safe, then counted."""

import time

from api.dependencies import Services
from api.problems import CHECKSUM_MISMATCH, INVALID, UNAVAILABLE, ApiError
from api.uploads.tus import Checksum
from wsi_pipeline.service.access import Access
from wsi_pipeline.service.jobs.requests import ConflictError
from wsi_pipeline.service.quota import TooLargeError
from wsi_pipeline.service.upload import GoneError, Upload, UploadState
from wsi_pipeline.service.upload_files import GrowingFile

#: How often an upload that is written but not yet counted is kept from expiring, seconds.
_EXTEND_SECONDS = 30.0
#: Promised at a time to a body that does not say its length.
_GROWTH_BYTES = 64 * 2**20


class Append:
    """One request's writing to one upload. Every method blocks; one thread at a time.

    Ends with :meth:`close`, whatever happened.

    Args:
        services: The application's parts.
        actor: Who uploads.
        upload: The upload.
        checksum: Of this request's bytes: none of them counts unless all are right.
        counted: Whether bytes count as they come. If not, they count when all are there.
        grows: The length is not known yet; room is asked for as bytes come.
        lifetime_seconds: How far the end of an upload is put off whose bytes do not count yet;
            None is the store's rule.

    Attributes:
        upload: As it stands.
    """

    def __init__(
        self,
        services: Services,
        actor: Access,
        upload: Upload,
        *,
        checksum: Checksum | None = None,
        counted: bool = True,
        grows: bool = False,
        lifetime_seconds: float | None = None,
    ) -> None:
        self.upload = upload
        self._services = services
        self._store = services.uploads
        self._actor = actor
        self._checksum = checksum
        self._hash = checksum.start() if checksum else None
        self._counted = counted and checksum is None
        self._grows = grows
        self._lifetime_seconds = lifetime_seconds or services.uploads.expiry_seconds
        self._file: GrowingFile | None = None
        self._kept_at = time.monotonic()

    @property
    def name(self) -> str:
        """The upload's id."""
        return self.upload.id

    def begin(self, offset: int) -> None:
        """Become the upload's only writer, and check that the client knows where it stands.

        Raises:
            LockedError: somebody else is writing it.
            ConflictError: the upload stands elsewhere, or is complete.
            GoneError: it is over, or the bytes that were counted are not on this disk.
        """
        self._file = self._services.upload_files.open(self.upload.id)
        # Known for certain only now: until the lock was ours it could change.
        try:
            self.upload = self._store.get(self._actor, self.upload.id)
        except GoneError:
            self._services.upload_files.remove(self.upload.id)
            raise
        if self.upload.state is not UploadState.OPEN or self.upload.offset != offset:
            raise ConflictError(f"the upload is at byte {self.upload.offset}")
        if self._file.size < self.upload.offset:
            raise ApiError(UNAVAILABLE, "the bytes uploaded so far are not on this server")
        self._file.cut(self.upload.offset)

    def write(self, data: bytes) -> None:
        """Append bytes, which count later.

        Raises:
            TooLargeError: more than was promised.
        """
        after = self._open.position + len(data)
        if after > self.upload.length:
            if not self._grows:
                raise TooLargeError(f"the upload has {self.upload.length:,} bytes, not more")
            self._grow(after)
        if self._hash is not None:
            self._hash.update(data)
        try:
            self._open.write(data)
        except OSError:
            self.forget()  # a full disk has more need of the room
            raise

    def count(self) -> None:
        """Make what was written safe and count it, if it may be counted in parts."""
        if self._counted:
            self._commit()
        elif time.monotonic() - self._kept_at > _EXTEND_SECONDS:
            self.upload = self._store.extend(self._actor, self.upload, self._lifetime_seconds)
            self._kept_at = time.monotonic()

    def finish(self) -> None:
        """Count everything; the last byte makes the slide.

        Raises:
            ApiError: the bytes do not match their checksum; none of them counts.
        """
        if self._checksum is not None and not self._checksum.matches(self._hash):
            self.forget()
            raise ApiError(CHECKSUM_MISMATCH, "the bytes were changed in transfer; send them again")
        if self._grows:
            if self._open.position == 0:
                raise ApiError(INVALID, "the body is empty")
            self.upload = self._store.resize(self._actor, self.upload, self._open.position)
        self._commit()

    def forget(self) -> None:
        """Drop what was written and not counted."""
        self._open.cut(self.upload.offset)

    def keep(self) -> None:
        """Count what may be counted of a request that broke off, and drop the rest."""
        if self._counted:
            self._commit()
        else:
            self.forget()

    def close(self) -> None:
        """Let others write."""
        if self._file is not None:
            self._file.close()

    @property
    def _open(self) -> GrowingFile:
        assert self._file is not None, "not begun"
        return self._file

    def _grow(self, length: int) -> None:
        """Ask for room, ahead if there is enough of it."""
        room = self.upload.length + self._store.room(self.upload.workspace_id)
        ahead = min(length + _GROWTH_BYTES, room, self._store.max_bytes)
        try:
            self.upload = self._store.resize(self._actor, self.upload, max(length, ahead))
        except TooLargeError:  # or others were faster
            self.upload = self._store.resize(self._actor, self.upload, length)

    def _commit(self) -> None:
        position = self._open.position
        if self.upload.state is UploadState.COMPLETE:
            return  # the last bytes counted before the body ended
        if position == self.upload.offset and position < self.upload.length:
            return
        self._open.sync()
        source = str(self._open.path)
        self.upload = self._store.advance(self._actor, self.upload, position, source)
