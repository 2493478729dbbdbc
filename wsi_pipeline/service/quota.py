"""What a workspace keeps, and the room that is left of its quota."""

import sqlalchemy as sa

from wsi_pipeline.errors import WsiError
from wsi_pipeline.service.image_tables import images
from wsi_pipeline.service.slides import LINKED, SlideState
from wsi_pipeline.service.tables import slides, uploads, workspaces


class TooLargeError(WsiError):
    """More bytes than one file, or the workspace, may have."""


class Quota:
    """Most bytes of a workspace: its slides, its images, and what is being uploaded.

    Args:
        most_bytes: The limit; 0 for none.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes

    def left(
        self, connection: sa.Connection, workspace_id: str, besides: str | None = None
    ) -> int | None:
        """Bytes that may still come; None without a limit.

        Args:
            connection: The transaction.
            workspace_id: Whose.
            besides: Id of an upload that does not count.
        """
        if not self._most_bytes:
            return None
        return max(0, self._most_bytes - _used(connection, workspace_id, besides))

    def make_room(
        self, connection: sa.Connection, workspace_id: str, wanted: int, besides: str | None = None
    ) -> None:
        """Check that so many bytes may come, and keep others from the same room meanwhile.

        The arguments are those of :meth:`left`, and ``wanted``: how many bytes.

        Raises:
            TooLargeError: there is no room for them.
        """
        if not self._most_bytes:
            return
        lock_workspace(connection, workspace_id)
        left = self.left(connection, workspace_id, besides)
        assert left is not None  # there is a limit
        if wanted > left:
            raise TooLargeError(
                f"{wanted:,} bytes are more than the {left:,} left of the workspace's "
                f"{self._most_bytes:,}; delete slides or images that are no longer needed"
            )


def lock_workspace(connection: sa.Connection, workspace_id: str) -> None:
    """Let others who lock it wait until this transaction ends.

    On PostgreSQL a second one waits here; on SQLite it waits to write at all.
    """
    connection.execute(
        sa.select(workspaces.c.id).where(workspaces.c.id == workspace_id).with_for_update()
    )


def _used(connection: sa.Connection, workspace_id: str, besides: str | None) -> int:
    """Bytes of a workspace's slides and images that the service keeps, and of open uploads."""
    pictures = sa.select(sa.func.coalesce(sa.func.sum(images.c.size_bytes), 0)).where(
        images.c.workspace_id == workspace_id, images.c.state != "deleted"
    )
    kept = sa.select(sa.func.coalesce(sa.func.sum(slides.c.size_bytes), 0)).where(
        slides.c.workspace_id == workspace_id,
        slides.c.state.in_([SlideState.CHECKING, SlideState.READY]),
        sa.func.coalesce(slides.c.location, slides.c.source, "").not_like(f"{LINKED}%"),
    )
    coming = sa.select(sa.func.coalesce(sa.func.sum(uploads.c.length), 0)).where(
        uploads.c.workspace_id == workspace_id, uploads.c.state == "open"
    )
    if besides is not None:
        coming = coming.where(uploads.c.id != besides)
    sums = (connection.execute(wanted).scalar_one() for wanted in (kept, pictures, coming))
    return sum(int(one) for one in sums)
