"""The client against the real service over real sockets, some of which are cut."""

import hashlib
import itertools
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
from lines_support import Line, line_to
from service_support import TOKEN, Service, running, settings_in

from wsi_pipeline.client import Client, RefusedError, TransferError, UnreachableError
from wsi_pipeline.errors import UsageError
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.service.tables import jobs, slides, uploads
from wsi_pipeline.testing import write_pyramid

CHUNK = 64 * 1024


@pytest.fixture(scope="module")
def service(
    tmp_path_factory: pytest.TempPathFactory, stub_package: ModelPackage
) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("service")
    (folder / "models").mkdir()
    (folder / "models" / "stub").symlink_to(stub_package.folder)
    with running(settings_in(folder)) as service:
        yield service


@pytest.fixture
def line(service: Service) -> Iterator[Line]:
    with line_to(service.url) as cut:
        yield cut


@pytest.fixture
def client(line: Line, tmp_path: Path) -> Iterator[Client]:
    with another(line.url, tmp_path) as made:
        yield made


def another(url: str, tmp_path: Path) -> Client:
    """As in a new process: nothing is shared but the folder of state files."""
    return Client(url, TOKEN, state_dir=tmp_path / "state", chunk_bytes=CHUNK, patience_seconds=60)


_tones = itertools.count()


@pytest.fixture
def slide(tmp_path: Path) -> Path:
    """About 600 kB, of content no other test has."""
    path = tmp_path / "a.tiff"
    noise = np.random.default_rng(next(_tones)).integers(0, 255, (400, 400, 3), np.uint8)
    write_pyramid(path, noise)
    return path


def rows(service: Service, table: sa.Table) -> list[sa.RowMapping]:
    with service.database.read() as connection:
        wanted = sa.select(table).order_by(table.c.created_at)
        return list(connection.execute(wanted).mappings())


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_slide_arrives_as_it_was(client: Client, slide: Path, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    sent = client.upload(slide, progress=lambda done, total: told.append((done, total)))
    checked = client.wait_slide(sent.id, timeout_seconds=60)
    assert (checked.state, checked.name, checked.sha256) == ("ready", "a.tiff", sha256(slide))
    size = slide.stat().st_size
    assert told[0] == (0, size)
    assert told[-1] == (size, size)
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert client.slides(search="a.tiff")[0].id == sent.id
    assert list((tmp_path / "state").iterdir()) == [], "what is through is forgotten"


def test_cut_lines_cost_nothing(client: Client, line: Line, service: Service, slide: Path) -> None:
    before = len(rows(service, uploads))
    # In the middle of headers, of blocks and of answers.
    line.up[:] = [10, 100_000, 5_000, 200_000, 66_000, 300, 150_000]
    line.down[:] = [0, 500, 10, 400, 10_000, 50, 100]
    sent = client.upload(slide)
    assert client.wait_slide(sent.id).sha256 == sha256(slide)
    assert line.connections > 5
    made = rows(service, uploads)[before:]
    assert sum(upload["state"] == "complete" for upload in made) == 1


class InterruptedHereError(Exception):
    """Stands for a process that ends."""


def stop_halfway(client: Client, slide: Path, blocks: int = 3) -> int:
    """Send some blocks and end; returns the bytes that were safe then."""
    safe: list[int] = []

    def progress(done: int, _: int) -> None:
        safe.append(done)
        if len(safe) > blocks:
            raise InterruptedHereError

    with pytest.raises(InterruptedHereError):
        client.upload(slide, progress=progress)
    assert 0 < safe[-1] < slide.stat().st_size
    return safe[-1]


def test_a_new_process_goes_on(service: Service, slide: Path, tmp_path: Path) -> None:
    before = len(rows(service, uploads))
    with another(service.url, tmp_path) as first:
        safe = stop_halfway(first, slide)
    told: list[int] = []
    with another(service.url, tmp_path) as second:
        sent = second.upload(slide, progress=lambda done, _: told.append(done))
        assert second.wait_slide(sent.id).sha256 == sha256(slide)
    assert told[0] == safe
    assert len(rows(service, uploads)) == before + 1


def test_a_changed_file_is_another_upload(service: Service, slide: Path, tmp_path: Path) -> None:
    with another(service.url, tmp_path) as client:
        stop_halfway(client, slide)
        write_pyramid(slide, np.full((400, 400, 3), next(_tones), np.uint8), compression="jpeg")
        told: list[int] = []
        sent = client.upload(slide, progress=lambda done, _: told.append(done))
        assert told[0] == 0
        assert client.wait_slide(sent.id).sha256 == sha256(slide)


def test_a_file_that_changes_meanwhile_is_not_sent(client: Client, slide: Path) -> None:
    def grow(done: int, _: int) -> None:
        if done:
            with slide.open("ab") as file:
                file.write(b"more")

    with pytest.raises(TransferError, match="changed"):
        client.upload(slide, progress=grow)


def test_an_upload_the_service_forgot_begins_again(
    client: Client, service: Service, slide: Path
) -> None:
    stop_halfway(client, slide)
    upload = rows(service, uploads)[-1]
    with service.client() as http:
        address = f"/v1/uploads/{upload['id']}"
        assert http.delete(address, headers={"Tus-Resumable": "1.0.0"}).status_code == 204
    sent = client.upload(slide)
    assert client.wait_slide(sent.id).sha256 == sha256(slide)


def test_an_upload_that_was_finished_unheard_makes_no_second_slide(
    service: Service, slide: Path, tmp_path: Path
) -> None:
    before = len(rows(service, slides))

    def end(done: int, total: int) -> None:
        if done == total:
            raise InterruptedHereError

    with another(service.url, tmp_path) as client:
        with pytest.raises(InterruptedHereError):
            client.upload(slide, progress=end)
        sent = client.upload(slide)
    assert [row["id"] for row in rows(service, slides)[before:]] == [sent.id]


def test_a_rejected_slide_says_why(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "b.svs"
    path.write_bytes(os.urandom(10_000))
    checked = client.wait_slide(client.upload(path).id, timeout_seconds=60)
    assert checked.state == "rejected"
    assert checked.problem is not None
    assert checked.problem["detail"]


def test_an_empty_file_and_a_missing_one(client: Client, tmp_path: Path) -> None:
    (tmp_path / "empty.svs").touch()
    with pytest.raises(UsageError, match="empty"):
        client.upload(tmp_path / "empty.svs")
    with pytest.raises(UsageError, match="no slide"):
        client.upload(tmp_path / "absent.svs")


def test_a_submission_whose_answer_was_lost_is_made_once(
    client: Client, line: Line, service: Service, slide: Path
) -> None:
    sent = client.upload(slide)
    before = len(rows(service, jobs))
    client.close()
    with another(line.url, slide.parent) as fresh:
        line.down[:] = [0, 20, 60]
        job = fresh.submit(sent.id, "stub", priority=3)
        assert job.state == "queued"
        assert job.json["priority"] == 3
    assert [row["id"] for row in rows(service, jobs)[before:]] == [job.id]


def test_the_same_key_gives_the_same_job(client: Client, slide: Path) -> None:
    sent = client.upload(slide)
    first = client.submit(sent.id, "stub", idempotency_key="mine")
    assert client.submit(sent.id, "stub", idempotency_key="mine").id == first.id
    assert client.submit(sent.id, "stub").id != first.id
    batch = client.submit_all([sent.id, sent.id], "stub")
    assert len({job.id for job in batch}) == 2


def test_waiting_follows_the_events_and_ends(client: Client, line: Line, slide: Path) -> None:
    job = client.submit(client.upload(slide).id, "stub")
    states: list[str] = []

    def cancel() -> None:
        time.sleep(0.5)
        with another(line.url, slide.parent) as other:
            other.cancel(job.id)

    canceller = threading.Thread(target=cancel)
    canceller.start()
    ended = client.wait(job.id, progress=lambda now: states.append(now.state), timeout_seconds=60)
    canceller.join()
    assert ended.state == "cancelled"
    assert states[0] == "queued"
    assert states[-1] == "cancelled"


def test_events_are_resumed_over_cut_lines(
    service: Service, line: Line, slide: Path, tmp_path: Path
) -> None:
    with another(service.url, tmp_path) as direct:
        job = direct.submit(direct.upload(slide).id, "stub")
        for _ in range(3):
            direct.cancel(job.id)
            with service.client() as http:
                assert http.post(f"/v1/jobs/{job.id}/retry").status_code == 200
        direct.cancel(job.id)
        whole = [event.id for event in direct.events(job.id)]
        assert len(whole) == len(set(whole)) == 8
        rest = [event.id for event in direct.events(job.id, after=whole[4])]
        assert rest == whole[5:]
    line.down[:] = [900, 2000, 2200, 2400, 2600, 2800, 2000]
    with another(line.url, tmp_path) as cut:
        assert [event.id for event in cut.events(job.id)] == whole
    assert line.connections > 1


def test_waiting_ends_when_the_time_is_up(client: Client, slide: Path) -> None:
    job = client.submit(client.upload(slide).id, "stub")
    with pytest.raises(TimeoutError):
        client.wait(job.id, timeout_seconds=0)
    client.cancel(job.id)


def test_errors_carry_the_problem(client: Client, service: Service, tmp_path: Path) -> None:
    with pytest.raises(RefusedError) as caught:
        client.status("0" * 32)
    assert caught.value.status == 404
    assert caught.value.problem["type"] == "/problems/not-found"
    with pytest.raises(RefusedError) as caught:
        client.wait("0" * 32)
    assert caught.value.status == 404
    with Client(service.url, "wsi_wrong", state_dir=tmp_path) as stranger:
        with pytest.raises(RefusedError) as caught:
            stranger.slides()
        assert caught.value.status == 401
        (tmp_path / "a.svs").write_bytes(b"pixels")
        with pytest.raises(RefusedError):
            stranger.upload(tmp_path / "a.svs")


def test_a_service_that_is_not_there(tmp_path: Path) -> None:
    with (
        Client("http://127.0.0.1:9", TOKEN, state_dir=tmp_path, patience_seconds=0.5) as client,
        pytest.raises(UnreachableError),
    ):
        client.slides()


def test_folders_are_sent_as_one_slide(client: Client, data: Path, tmp_path: Path) -> None:
    series = next(
        (folder for folder in sorted((data / "slides").iterdir()) if folder.is_dir()), None
    )
    if series is None:
        pytest.skip("there is no slide of several files among the real data")
    checked = client.wait_slide(client.upload(series).id, timeout_seconds=120)
    assert checked.state == "ready", checked.problem
    assert checked.name == f"{series.name}.zip"
