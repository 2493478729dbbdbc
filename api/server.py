"""The HTTP server: uvicorn, and an orderly stop that ends streams before it waits for them."""

import logging
import os
import socket
from collections.abc import Sequence

import uvicorn
from fastapi import FastAPI

from api.dependencies import Services
from api.http.protocol import BoundedProtocol
from wsi_pipeline.service.settings import ServiceSettings

log = logging.getLogger(__name__)

#: Of the time for a stop, what is kept for closing down after the last request, seconds.
_RESERVE_SECONDS = 5.0
#: Longer than clients and proxies keep an idle connection: else one they have just chosen for the
#: next request is closed under them.
_KEEP_ALIVE_SECONDS = 75


class Server(uvicorn.Server):
    """Serves an application of :func:`api.app.create_app`.

    Args:
        app: The application.
        settings: Say how long a stop may take.
        ready: A file descriptor that gets one byte once requests are answered.
    """

    def __init__(self, app: FastAPI, settings: ServiceSettings, ready: int | None = None) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                log_config=None,  # the process's own
                access_log=False,  # it would hold paths and queries
                # What they say of client and scheme is put in place before anything else looks.
                forwarded_allow_ips=list(settings.trusted_proxies),
                server_header=False,
                ws="none",
                timeout_keep_alive=_KEEP_ALIVE_SECONDS,
                http=BoundedProtocol,
                lifespan="on",
                timeout_graceful_shutdown=max(1, int(settings.stop_seconds - _RESERVE_SECONDS)),
            )
        )
        self._app = app
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and say so."""
        await super().startup(sockets)
        log.info("answering")
        if self._ready is not None:
            os.write(self._ready, b"1")
            os.close(self._ready)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Tell those who stream or take long bodies, then wait for them."""
        services: Services = self._app.state.services
        services.stopping.set()
        log.info("stopping")
        await super().shutdown(sockets)
        log.info("stopped")


def listen(host: str, port: int) -> socket.socket:
    """A listening socket.

    Raises:
        OSError: the port is taken or may not be used.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=2048)


def serve(
    app: FastAPI,
    settings: ServiceSettings,
    sockets: Sequence[socket.socket],
    ready: int | None = None,
) -> None:
    """Answer requests until SIGTERM or SIGINT."""
    Server(app, settings, ready).run(list(sockets))
