"""Making a stored result count, once, and taking away what does not."""

import logging

from workers.messages import Stored
from wsi_pipeline.service.jobs.job import Claim
from wsi_pipeline.service.jobs.queue import JobQueue
from wsi_pipeline.service.tables import new_id
from wsi_pipeline.storage import Storage

log = logging.getLogger(__name__)


def new_destination() -> str:
    """A key nobody has used: results never change in place."""
    return f"results/{new_id()}/mask.zarr"


class Publication:
    """One result on its way into storage and into the database.

    Readers find results through the database only, so a result exists from the moment its row is
    committed. Until then it may be taken away at any time; what a killed worker leaves behind is
    no result, and ``wsi gc`` removes it.

    Args:
        queue: The job store.
        storage: Where the result goes.
        claim: The right to publish it.
    """

    def __init__(self, queue: JobQueue, storage: Storage, claim: Claim) -> None:
        self._queue = queue
        self._storage = storage
        self._claim = claim
        self.destination = new_destination()

    def publish(self, stored: Stored) -> bool:
        """Let the job succeed with the stored result, or with one that was published first.

        Returns:
            False if the lease was lost: nothing was published.
        """
        # Should this fail with an error, the transaction may have been committed or not: then
        # nothing is removed, because it may be what readers see.
        held, served = self._queue.succeed(self._claim, self.destination, stored.summary)
        if served != self.destination:
            self.withdraw()
        return held

    def withdraw(self) -> None:
        """Remove what is stored, if anything is; it must not have been published."""
        try:
            self._storage.delete(self.destination)
        except OSError as error:  # `wsi gc` will find it
            log.warning("an unpublished result could not be removed", exc_info=error)
