"""Run as a program: claims and finishes jobs until there are none; prints each claim."""

import sys

from wsi_pipeline.service.database import Database
from wsi_pipeline.service.jobs.queue import JobQueue


def main(url: str, name: str) -> None:
    queue = JobQueue(Database(url), lease_seconds=60)
    sys.stdin.readline()  # all begin together
    while (claim := queue.claim(name)) is not None:
        sys.stdout.write(f"{claim.job.id} {claim.job.fence}\n")
        done, _ = queue.succeed(claim, f"results/{claim.job.id}/mask.zarr", {})
        assert done


if __name__ == "__main__":
    main(*sys.argv[1:])
