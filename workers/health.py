"""``python -m workers.health``: was a worker of this host seen lately? For health checks."""

import socket
import sys

import sqlalchemy as sa

from wsi_pipeline.service.database import Database, now
from wsi_pipeline.service.settings import ServiceSettings
from wsi_pipeline.service.tables import workers

#: A worker says that it is there every few seconds, whatever it does.
_SEEN_SECONDS = 90.0


def is_seen(database: Database, host: str) -> bool:
    """Whether a worker of a host has said something lately.

    Args:
        database: The service's.
        host: As workers call theirs.
    """
    wanted = sa.select(workers.c.id).where(
        workers.c.host == host, workers.c.seen_at > now() - _SEEN_SECONDS
    )
    with database.read() as connection:
        return connection.execute(wanted.limit(1)).first() is not None


def main() -> None:
    """Exit with 0 if a worker of this host is at work, otherwise with 1."""
    database = Database(ServiceSettings().database_url)
    try:
        seen = is_seen(database, socket.gethostname())
    except sa.exc.OperationalError:
        seen = False
    finally:
        database.close()
    sys.exit(0 if seen else 1)


if __name__ == "__main__":
    main()
