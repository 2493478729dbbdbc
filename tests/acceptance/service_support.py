"""A service for tests: the real application on a real socket, in a thread of this process."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from fastapi import FastAPI

from api.app import create_app
from api.server import Server, listen
from api.web.routes import Pages
from wsi_pipeline.service import schema
from wsi_pipeline.service.access import Access, Scope
from wsi_pipeline.service.database import Database
from wsi_pipeline.service.keys import ApiKeys
from wsi_pipeline.service.settings import ServiceSettings

TOKEN = "wsi_token_of_the_tests"
#: Whether the pages were built here or not: tests of the API are the same.
NO_PAGES = Pages(None)


@dataclass(frozen=True)
class Service:
    """A running service.

    Attributes:
        settings: Its settings.
        app: The application.
        server: What serves it.
        url: Its address, without a slash at the end.
        database: A connection of its own to the service's database.
        thread: Where the server runs.
    """

    settings: ServiceSettings
    app: FastAPI
    server: Server
    url: str
    database: Database
    thread: threading.Thread

    def client(self, key: str | None = TOKEN, **options: object) -> httpx.Client:
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=30, **options)  # type: ignore[arg-type]  # passed on

    @contextmanager
    def browser(self, key: str = TOKEN) -> Iterator[httpx.Client]:
        """Signed in with a key: it has the cookie and nothing else."""
        with self.client(None) as client:
            assert client.post("/v1/session", json={"key": key}).status_code == 204
            yield client

    def key(self, workspace: str = "default", scope: Scope = Scope.ADMIN) -> str:
        return ApiKeys(self.database).create(workspace, "test", scope)[1]

    def access(self, key: str = TOKEN) -> Access:
        found = ApiKeys(self.database).find(key)
        assert found is not None
        return found

    def stop(self) -> None:
        """In good order, as SIGTERM does."""
        self.server.should_exit = True
        self.thread.join(30)
        assert not self.thread.is_alive()


def settings_in(folder: Path, **changed: object) -> ServiceSettings:
    """Settings with all folders below one."""
    folders = {
        "data_dir": folder / "data",
        "cache_dir": folder / "cache",
        "models_dir": folder / "models",
    }
    return ServiceSettings.model_validate({**folders, **changed})


@contextmanager
def running(settings: ServiceSettings, pages: Pages = NO_PAGES) -> Iterator[Service]:
    """Migrate, make :data:`TOKEN` an administrator's key, and serve on a free port."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    database = Database(settings.database_url)
    schema.migrate(database)
    ApiKeys(database).ensure_console(TOKEN)
    app = create_app(settings, pages)
    reading, writing = os.pipe()
    with listen("127.0.0.1", 0) as sock:
        port = sock.getsockname()[1]
        server = Server(app, settings, writing)
        thread = threading.Thread(target=server.run, args=([sock],), daemon=True)
        thread.start()
        assert os.read(reading, 1) == b"1"
        os.close(reading)
        service = Service(settings, app, server, f"http://127.0.0.1:{port}", database, thread)
        try:
            yield service
        finally:
            if thread.is_alive():
                service.stop()
            database.close()
