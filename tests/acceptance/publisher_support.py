"""Run as a program: publishes a finished result for job after job, as a worker does."""

import json
import sys
import time
from pathlib import Path

from workers.messages import Stored
from workers.publication import Publication
from wsi_pipeline.service.database import Database
from wsi_pipeline.service.jobs.queue import JobQueue
from wsi_pipeline.storage import open_storage

#: Short, so that the next one need not wait for long.
LEASE_SECONDS = 1.0


def main(url: str, address: str, source: str, summary: str) -> None:
    queue, storage = JobQueue(Database(url), LEASE_SECONDS), open_storage(address)
    stored = Stored(json.loads(Path(summary).read_text()))
    while True:
        claim = queue.claim("publisher")
        if claim is None:
            time.sleep(0.02)
            continue
        publication = Publication(queue, storage, claim)
        storage.put_tree(publication.destination, Path(source))
        publication.publish(stored)


if __name__ == "__main__":
    main(*sys.argv[1:])
