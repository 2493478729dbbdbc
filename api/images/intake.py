"""One image on its way in: into a file of its own, hashed as it comes, then into storage."""

import hashlib
from pathlib import Path

from api.dependencies import Services
from api.problems import INVALID, ApiError
from wsi_pipeline.service.access import Access
from wsi_pipeline.service.image_files import image_key
from wsi_pipeline.service.images import StoredImage
from wsi_pipeline.service.quota import TooLargeError
from wsi_pipeline.service.tables import new_id
from wsi_pipeline.service.upload_files import GrowingFile

#: Most bytes of an image.
MAX_BYTES = 64 * 2**20


def check_size(length: int) -> None:
    """Refuse what is too large for a single image.

    Raises:
        TooLargeError: it is.
    """
    if length > MAX_BYTES:
        raise TooLargeError(
            f"an image has at most {MAX_BYTES:,} bytes here; upload a scan as a slide"
        )


class Intake:
    """One request's image. Every method blocks; one thread at a time.

    Is the :class:`~api.uploads.receiver.Writing` of its body. Ends with :meth:`remove`, whatever
    happened.

    Args:
        services: The application's parts.
        access: Who brings it.
        called: The image's name.
    """

    def __init__(self, services: Services, access: Access, called: str) -> None:
        self._services = services
        self._access = access
        self._called = called
        self._id = new_id()
        self._hash = hashlib.sha256()
        self._file: GrowingFile | None = None

    @property
    def name(self) -> str:
        """Of its file."""
        return self._id

    @property
    def path(self) -> Path:
        """Its file."""
        return self._services.image_files.path(self._id)

    def begin(self, offset: int) -> None:  # noqa: ARG002 - it always begins at the first byte
        """Open its file."""
        self._file = self._services.image_files.open(self._id)

    def write(self, data: bytes) -> None:
        """Append bytes.

        Raises:
            TooLargeError: there are too many.
        """
        assert self._file is not None, "not begun"
        check_size(self._file.position + len(data))
        self._file.write(data)
        self._hash.update(data)

    def count(self) -> None:
        """Nothing counts before all of it is there."""

    def keep(self) -> None:
        """Nothing of a request that broke off is kept."""

    def finish(self) -> None:
        """All bytes are there: let them survive a power cut.

        Raises:
            ApiError: there is none.
        """
        assert self._file is not None, "not begun"
        if self._file.position == 0:
            raise ApiError(INVALID, "the body is empty")
        self._file.sync()

    def close(self) -> None:
        """Close its file."""
        if self._file is not None:
            self._file.close()

    def remove(self) -> None:
        """Leave no file behind."""
        self._services.image_files.remove(self._id)

    def store(self) -> tuple[StoredImage, bool]:
        """Keep the image; returns it, and whether it is new.

        Raises:
            TooLargeError: the workspace has no room for it.
        """
        services, sha256 = self._services, self._hash.hexdigest()
        found = services.images.find(self._access, self._called, sha256)
        if found is not None:
            return found, False
        image = StoredImage(
            id=self._id,
            workspace_id=self._access.workspace_id,
            name=self._called,
            sha256=sha256,
            location=image_key(sha256, self._id),
            size_bytes=self.path.stat().st_size,
            created_at=0.0,  # the database's clock says when
        )
        services.storage.put_file(image.location, self.path, move=True)
        kept = False
        try:
            made, kept = services.images.add(self._access, image)
        finally:
            if not kept:
                services.storage.delete(image.location)
        return made, kept
