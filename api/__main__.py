"""``python -m api``: the API process of ``wsi serve``, told by ``WSI_…`` and ``wsi.toml``."""

import argparse
import logging
import socket
import sys

from api.app import create_app
from api.server import listen, serve
from wsi_pipeline.errors import WsiError
from wsi_pipeline.service import logs
from wsi_pipeline.service.settings import ServiceSettings

log = logging.getLogger("api")


def main() -> int:
    """Serve until told to stop; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m api", description=__doc__)
    parser.add_argument("--fd", type=int, help="serve on this listening socket")
    parser.add_argument("--ready", type=int, help="write a byte there once requests are answered")
    arguments = parser.parse_args()
    settings = ServiceSettings()
    logs.set_up(settings.log_format)
    try:
        sock = (
            listen(settings.host, settings.port)
            if arguments.fd is None
            else socket.socket(fileno=arguments.fd)
        )
        with sock:
            serve(create_app(settings), settings, [sock], arguments.ready)
    except (WsiError, OSError) as error:
        log.exception("the server cannot start")
        sys.stderr.write(f"wsi: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
