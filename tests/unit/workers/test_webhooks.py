"""Webhooks over real sockets: signed, once per claim, repeated, and never where they may not go."""

import base64
import contextlib
import hashlib
import hmac
import http.server
import json
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from jobs_support import PROBLEM, Store
from pydantic import SecretStr

from workers import webhooks
from workers.webhooks import Webhooks, sign, signing_key
from wsi_pipeline.errors import UsageError
from wsi_pipeline.service.database import Database
from wsi_pipeline.service.jobs.job import Job
from wsi_pipeline.service.logs import facts_of
from wsi_pipeline.service.settings import ServiceSettings
from wsi_pipeline.service.tables import jobs

SECRET = "a secret of the laboratory"


@dataclass
class Receiver:
    """What a receiver got, and what it answers."""

    url: str
    answers: list[int] = field(default_factory=list)
    got: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    delay_seconds: float = 0.0
    answered: int = 0
    location: str = ""


@contextmanager
def receiving(context: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            listener.got.append((self.path, dict(self.headers), body))
            time.sleep(listener.delay_seconds)
            self.send_response(listener.answers.pop(0) if listener.answers else 204)
            if listener.location:
                self.send_header("Location", listener.location)
            self.send_header("Content-Length", "0")
            self.end_headers()
            listener.answered += 1

        def log_message(self, *_: object) -> None:
            pass

    class Server(http.server.ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            pass  # clients that give up are part of these tests

    with Server(("127.0.0.1", 0), Handler) as server:
        scheme = "http"
        if context is not None:
            server.socket = context.wrap_socket(server.socket, server_side=True)
            scheme = "https"
        listener = Receiver(f"{scheme}://localhost:{server.server_port}/told?by=us")
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield listener
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as listening:
        yield listening


@pytest.fixture
def store(database: Database) -> Store:
    return Store(database)


def settings(**values: Any) -> ServiceSettings:
    told: dict[str, Any] = {"webhook_secret": SecretStr(SECRET), "webhook_hosts": ("localhost",)}
    return ServiceSettings(**(told | values))


Deliver = Callable[..., Webhooks]


@pytest.fixture
def deliver(database: Database) -> Deliver:
    def make(*backoff: float, **values: Any) -> Webhooks:
        return Webhooks(database, settings(**values), backoff)

    return make


def failed_job(store: Store, url: str) -> Job:
    access = store.access()
    job = store.job(access)
    store.change(jobs.update().where(jobs.c.id == job.id).values(webhook=url))
    store.queue.fail(store.claim().job, PROBLEM, final=True)
    return store.now(job)


def row(store: Store, job: Job) -> sa.RowMapping:
    with store.database.read() as connection:
        return connection.execute(sa.select(jobs).where(jobs.c.id == job.id)).mappings().one()


def make_due(store: Store, job: Job) -> None:
    store.change(jobs.update().where(jobs.c.id == job.id).values(webhook_due=0))


def test_a_receiver_can_verify_what_it_is_told(
    store: Store, receiver: Receiver, deliver: Deliver, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "workers")
    job = failed_job(store, receiver.url)
    assert deliver().deliver_due() == 1
    logged = [facts_of(record) for record in caplog.records if record.name == "workers.webhooks"]
    assert [(facts["message"], facts["job_id"]) for facts in logged] == [
        ("webhook delivered", job.id)
    ]
    ((path, headers, body),) = receiver.got
    assert path == "/told?by=us"
    assert headers["Host"] == receiver.url.split("/")[2]
    # As the specification says it, not as our own code does it.
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    mac = hmac.new(SECRET.encode(), signed, hashlib.sha256).digest()
    assert headers["webhook-signature"] == "v1," + base64.b64encode(mac).decode()
    assert abs(time.time() - int(headers["webhook-timestamp"])) < 60
    told = json.loads(body)
    assert told["type"] == "job.failed"
    assert told["data"]["id"] == job.id
    assert told["data"]["state"] == "failed"
    assert told["data"]["problem"] == PROBLEM
    assert row(store, job)["webhook_due"] is None
    assert deliver().deliver_due() == 0


def test_the_specifications_example_of_a_signature() -> None:
    key = signing_key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    body = b'{"test": 2432232314}'
    assert (
        sign(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", body)
        == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    )


def test_a_secret_that_is_no_base64_is_told_at_start(deliver: Deliver) -> None:
    with pytest.raises(UsageError, match="base64"):
        deliver(webhook_secret=SecretStr("whsec_?"))


def test_attempts_are_repeated_with_the_same_id_and_then_given_up(
    store: Store, receiver: Receiver, deliver: Deliver
) -> None:
    receiver.answers = [500, 404, 302, 200]
    receiver.location = "http://127.0.0.1:9/elsewhere"
    job = failed_job(store, receiver.url)
    hooks = deliver(100, 200)
    waits = []
    for _ in range(3):
        assert hooks.deliver_due() == 1
        with store.database.read() as connection:
            at = connection.execute(sa.text("select (julianday('now')-2440587.5)*86400")).scalar()
        due = row(store, job)["webhook_due"]
        waits.append(None if due is None else due - at)
        make_due(store, job) if due is not None else None
    assert waits[0] == pytest.approx(100, abs=5)
    assert waits[1] == pytest.approx(200, abs=5)
    assert waits[2] is None, "after the last attempt it is given up"
    assert len({headers["webhook-id"] for _, headers, _ in receiver.got}) == 1
    assert len(receiver.got) == 3, "no redirect was followed to come back here"


def test_a_receiver_that_is_gone_for_good_is_not_asked_again(
    store: Store, receiver: Receiver, deliver: Deliver
) -> None:
    receiver.answers = [410]
    job = failed_job(store, receiver.url)
    deliver(1, 1).deliver_due()
    assert row(store, job)["webhook_due"] is None


def test_an_unreachable_receiver_is_tried_again(store: Store, deliver: Deliver) -> None:
    job = failed_job(store, "http://localhost:9/")
    deliver(50).deliver_due()
    assert row(store, job)["webhook_due"] is not None
    assert row(store, job)["webhook_tries"] == 1


def test_two_workers_do_not_send_at_the_same_time(
    store: Store, receiver: Receiver, deliver: Deliver
) -> None:
    receiver.delay_seconds = 0.5
    for _ in range(5):
        failed_job(store, receiver.url)
    threads = [threading.Thread(target=deliver().deliver_due) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    told = [json.loads(body)["data"]["id"] for _, _, body in receiver.got]
    assert len(told) == len(set(told)) == 5


def test_the_claim_of_a_worker_that_died_runs_out(
    store: Store, receiver: Receiver, deliver: Deliver
) -> None:
    job = failed_job(store, receiver.url)
    died = deliver()
    assert [one.job_id for one in died._claim()] == [job.id]
    assert deliver().deliver_due() == 0
    make_due(store, job)
    assert deliver().deliver_due() == 1
    assert row(store, job)["webhook_tries"] == 2


def test_a_late_failure_does_not_undo_a_later_success(
    store: Store, receiver: Receiver, deliver: Deliver
) -> None:
    job = failed_job(store, receiver.url)
    slow = deliver(10)
    (delivery,) = slow._claim()
    make_due(store, job)
    deliver().deliver_due()
    slow._settle(delivery, 10)
    assert row(store, job)["webhook_due"] is None


def test_a_slow_receiver_holds_up_nobody_for_long(
    store: Store, receiver: Receiver, deliver: Deliver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "_LIMIT_SECONDS", 0.3)
    receiver.delay_seconds = 8
    job = failed_job(store, receiver.url)
    deliver(10).deliver_due()
    assert (len(receiver.got), receiver.answered) == (1, 0)
    assert row(store, job)["webhook_due"] is not None


def test_a_queued_job_is_not_told_of(store: Store, receiver: Receiver, deliver: Deliver) -> None:
    job = failed_job(store, receiver.url)
    store.requests.retry(store.access(), job.id)
    assert deliver().deliver_due() == 0
    assert receiver.got == []


@pytest.mark.parametrize(
    ("name", "hosts"),
    [
        ("localhost", ("*",)),  # resolves to this machine
        ("127.0.0.1", ("*",)),
        ("localhost", ("hooks.example.org",)),
        ("localhost", ()),
    ],
)
def test_the_network_inside_is_out_of_reach(
    store: Store, receiver: Receiver, deliver: Deliver, name: str, hosts: tuple[str, ...]
) -> None:
    url = receiver.url.replace("http://localhost", f"https://{name}")
    job = failed_job(store, url)
    deliver(webhook_hosts=hosts).deliver_due()
    assert receiver.got == []
    assert row(store, job)["webhook_due"] is None


@contextmanager
def counting() -> Iterator[tuple[int, list[str]]]:
    """A port of this machine, on every address it has, and who connected to it."""
    came: list[str] = []
    with socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as server:
        port = server.getsockname()[1]
        server.settimeout(0.1)
        stop = threading.Event()

        def accept() -> None:
            while not stop.is_set():
                with contextlib.suppress(TimeoutError):
                    line, address = server.accept()
                    came.append(address[0])
                    line.close()

        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield port, came
        finally:
            stop.set()
            thread.join()


def test_no_spelling_of_this_machine_is_connected_to(
    store: Store, deliver: Deliver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In all of them it would be reached: the first connection shows that somebody listens."""
    spellings: tuple[str, ...] = (
        "127.0.0.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "127.1",
        "0",
        "0.0.0.0",
    )
    spellings += ("localhost", "localhost.", "LocalHost", "[::1]", "[::]", "[::ffff:127.0.0.1]")
    with counting() as (port, came):
        socket.create_connection(("127.0.0.1", port)).close()
        listed = failed_job(store, f"https://localhost:{port}/")
        deliver(50).deliver_due()
        assert len(came) == 2, "a host that is listed by its name is connected to"
        make_due(store, listed)
        store.change(jobs.update().values(webhook_due=None))
        for spelling in spellings:
            failed_job(store, f"https://{spelling}:{port}/")
        assert deliver(50, webhook_hosts=("*",)).deliver_due() == len(spellings)
        assert len(came) == 2


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed(
    store: Store, receiver: Receiver, deliver: Deliver, status: int
) -> None:
    """Not even to a host that is allowed: its secret and body are for the receiver named."""
    with receiving() as inside:
        receiver.answers = [status]
        receiver.location = inside.url
        job = failed_job(store, receiver.url)
        deliver(50).deliver_due()
        assert len(receiver.got) == 1
        assert inside.got == []
        assert row(store, job)["webhook_due"] is not None, "it was not delivered"


def test_the_name_is_resolved_once_and_checked(
    store: Store, receiver: Receiver, deliver: Deliver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that means a public host when it is checked and this machine when it is used."""
    answers = iter(["93.184.216.34", "127.0.0.1"])
    asked = []

    async def resolve(self: object, host: str, port: int, **_: object) -> list[Any]:
        asked.append(host)
        return [(2, 1, 6, "", (next(answers), port))]

    connected: list[str] = []

    async def connect(remote_host: str, *_: Any, **__: Any) -> Any:
        connected.append(remote_host)
        raise OSError("not in a test")

    monkeypatch.setattr("asyncio.base_events.BaseEventLoop.getaddrinfo", resolve)
    monkeypatch.setattr("anyio.connect_tcp", connect)
    failed_job(store, "https://rebinding.example.org/")
    deliver(10, webhook_hosts=("*",)).deliver_due()
    assert asked == ["rebinding.example.org"]
    assert connected == ["93.184.216.34"]
    assert receiver.got == []


def test_nothing_is_sent_without_a_secret(
    store: Store, receiver: Receiver, deliver: Deliver
) -> None:
    failed_job(store, receiver.url)
    for secret in (None, SecretStr("")):
        deliver(webhook_secret=secret).run(threading.Event())  # returns at once
    assert receiver.got == []


def test_run_delivers_until_it_is_told_to_stop(
    store: Store, receiver: Receiver, deliver: Deliver
) -> None:
    failed_job(store, receiver.url)
    stop = threading.Event()
    thread = threading.Thread(target=deliver().run, args=(stop,))
    thread.start()
    deadline = time.monotonic() + 20
    while not receiver.got and time.monotonic() < deadline:
        time.sleep(0.05)
    stop.set()
    thread.join(10)
    assert not thread.is_alive()
    assert len(receiver.got) == 1


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """Of a host called localhost, signed by itself."""
    path = tmp_path / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"]
    command += ["-keyout", str(path), "-out", str(path) + ".crt", "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=DNS:localhost"]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("openssl, which makes the certificate, is not here")
    return path


def test_certificates_are_checked_against_the_name(
    store: Store, deliver: Deliver, certificate: Path
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(f"{certificate}.crt", certificate)
    with receiving(context) as receiver:
        job = failed_job(store, receiver.url)
        deliver(50).deliver_due()
        assert receiver.got == [], "nobody vouches for this certificate"
        assert row(store, job)["webhook_due"] is not None
        make_due(store, job)
        hooks = deliver(50)
        hooks._trusted.load_verify_locations(f"{certificate}.crt")
        hooks.deliver_due()
        assert len(receiver.got) == 1
        other = failed_job(store, receiver.url.replace("localhost", "127.0.0.1"))
        hooks = deliver(50, webhook_hosts=("127.0.0.1",))
        hooks._trusted.load_verify_locations(f"{certificate}.crt")
        hooks.deliver_due()
        assert len(receiver.got) == 1, "it is another host's certificate"
        assert row(store, other)["webhook_due"] is not None
