"""tus over real sockets: what the protocol promises, and what happens when others break theirs."""

import hashlib
import io
import os
import threading
import time
from base64 import b64encode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from PIL import Image
from uploads_support import (
    MIB,
    OCTETS,
    TUS,
    Service,
    killable,
    metadata,
    serving,
    status_of,
    until,
    write_slide,
)

from wsi_pipeline.service.access import Scope
from wsi_pipeline.service.tables import slides, uploads
from wsi_pipeline.service.upload_files import GrowingFile


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with serving(tmp_path_factory.mktemp("service")) as running:
        yield running


@pytest.fixture(scope="module")
def client(service: Service) -> Iterator[httpx.Client]:
    with service.client() as opened:
        yield opened


@pytest.fixture(scope="module")
def slide(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return write_slide(tmp_path_factory.mktemp("slides") / "a.tiff")


def name_of(location: str) -> str:
    return location.rpartition("/")[2]


def on_disk(service: Service, location: str) -> int | None:
    return service.spooled().get(name_of(location))


def checksum(data: bytes, algorithm: str = "sha1") -> str:
    return f"{algorithm} {b64encode(hashlib.new(algorithm, data).digest()).decode()}"


def authorised(service: Service) -> dict[str, str]:
    return {"Authorization": f"Bearer {service.key()}", **TUS}


def test_what_is_spoken(service: Service, client: httpx.Client) -> None:
    answer = client.options("/v1/uploads")
    assert answer.status_code == 204
    assert answer.headers["tus-version"] == answer.headers["tus-resumable"] == "1.0.0"
    told = set(answer.headers["tus-extension"].split(","))
    assert told == {"creation", "creation-with-upload", "checksum", "expiration", "termination"}
    assert answer.headers["tus-checksum-algorithm"] == "sha1,sha256"
    assert int(answer.headers["tus-max-size"]) == service.settings.max_upload_bytes


def test_a_slide_in_pieces(service: Service, client: httpx.Client, slide: bytes) -> None:
    location = service.create(client, len(slide), "Präparat 1.tiff")
    third = len(slide) // 3
    for start in range(0, len(slide), third):
        assert service.offset(client, location) == start
        piece = slide[start : start + third]
        answer = service.patch(client, location, start, piece)
        assert answer.status_code == 204
        assert int(answer.headers["upload-offset"]) == start + len(piece)
        assert answer.headers["tus-resumable"] == "1.0.0"
        assert ("upload-expires" in answer.headers) is (start + len(piece) < len(slide))
    head = client.head(location, headers=TUS)
    assert head.headers["upload-length"] == str(len(slide))
    assert head.headers["cache-control"] == "no-store"
    assert head.headers["upload-metadata"] == metadata("Präparat 1.tiff")["Upload-Metadata"]
    slide_id = head.headers["wsi-slide-id"]
    found = service.checked(client, slide_id)
    assert (found["state"], found["name"]) == ("ready", "Präparat 1.tiff")
    assert found["sha256"] == hashlib.sha256(slide).hexdigest()
    assert found["size_bytes"] == len(slide)
    assert found["info"]["dimensions"] == {"width": 320, "height": 256}
    assert service.stored(slide_id).read_bytes() == slide
    assert on_disk(service, location) is None, "the spool has no copy any more"


def test_without_a_key_no_byte_is_read(service: Service, client: httpx.Client) -> None:
    location = service.create(client, 4 * MIB)
    before, rows = service.spooled(), service.count(uploads)
    with httpx.Client(base_url=service.address, headers=TUS, timeout=60) as stranger:
        answers = [
            stranger.post(
                "/v1/uploads", headers={"Upload-Length": "9", **OCTETS}, content=b"x" * 9
            ),
            service.patch(stranger, location, 0, b"x" * (4 * MIB)),
            stranger.post(location, headers={"X-HTTP-Method-Override": "DELETE"}),
            stranger.delete(location),
            stranger.head(location),
            stranger.options("/v1/uploads"),
            stranger.put("/v1/slides", params={"name": "a"}, content=b"x" * (4 * MIB)),
            stranger.post("/v1/slides", json={"uri": "/etc/passwd"}),
        ]
    assert [answer.status_code for answer in answers] == [401] * len(answers)
    assert all(a.headers["tus-resumable"] == "1.0.0" for a in answers if "uploads" in a.url.path)
    assert service.spooled().items() <= before.items()
    assert service.count(uploads) == rows
    assert service.offset(client, location) == 0
    # It waits for the answer to its headers, and gets it without sending the body.
    asking = {"Content-Length": str(10 * MIB), "Expect": "100-continue", **TUS, **OCTETS}
    assert status_of(service.connect("PATCH", location, {**asking, "Upload-Offset": "0"})) == 401


def test_a_key_to_look_may_not_write(service: Service, client: httpx.Client) -> None:
    location = service.create(client, 10)
    with service.client(scope=Scope.VIEW) as viewer:
        assert viewer.head(location, headers=TUS).status_code == 403
        assert service.patch(viewer, location, 0, b"x").status_code == 403
        assert viewer.delete(location, headers=TUS).status_code == 403
        headers = {**TUS, "Upload-Length": "10"}
        assert viewer.post("/v1/uploads", headers=headers).status_code == 403
    assert service.offset(client, location) == 0


def test_another_workspaces_upload_is_not_there(service: Service, client: httpx.Client) -> None:
    location = service.create(client, 10)
    with service.client("other") as other:
        answers = [
            other.head(location, headers=TUS),
            service.patch(other, location, 0, b"x"),
            other.delete(location, headers=TUS),
            other.head("/v1/uploads/none", headers=TUS),
        ]
        assert [answer.status_code for answer in answers] == [404] * 4
        assert "upload-offset" not in answers[0].headers
    assert service.offset(client, location) == 0


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Tus-Resumable": "0.2.2"}, 412),
        ({"Upload-Length": "-1"}, 400),
        ({"Upload-Length": "ten"}, 400),
        ({"Upload-Length": ""}, 400),
        ({"Upload-Defer-Length": "1", "Upload-Length": ""}, 400),
        ({"Upload-Metadata": "filename not-base64"}, 400),
        ({"Upload-Concat": "partial"}, 400),
        ({"Upload-Checksum": "md5 AAAA"}, 400),
        ({"Upload-Length": str(2**63)}, 413),
        ({"Upload-Length": "9" * 30}, 413),
    ],
)
def test_what_cannot_be_created(
    service: Service, client: httpx.Client, headers: dict[str, str], status: int
) -> None:
    before = service.count(uploads)
    answer = client.post("/v1/uploads", headers={**TUS, "Upload-Length": "9", **headers})
    assert answer.status_code == status
    assert answer.headers["tus-resumable"] == "1.0.0"
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == status
    assert service.count(uploads) == before
    if status == 412:
        assert answer.headers["tus-version"] == "1.0.0"


def test_what_cannot_be_appended(service: Service, client: httpx.Client) -> None:
    location = service.create(client, 10)
    assert service.patch(client, location, 0, b"12345").status_code == 204
    sound = {**TUS, **OCTETS, "Upload-Offset": "5"}

    def status(**changed: str | None) -> int:
        headers = {**sound, **{name.replace("_", "-"): value for name, value in changed.items()}}
        told = {name: value for name, value in headers.items() if value is not None}
        return client.patch(location, headers=told, content=b"678").status_code

    assert status(Tus_Resumable=None) == 412
    assert status(Tus_Resumable="1.0.1") == 412
    assert status(Content_Type="application/octet-stream") == 415
    assert status(Content_Type=None) == 415
    assert status(Upload_Offset=None) == 400
    assert status(Upload_Offset="x") == 400
    for wrong in ("0", "4", "6", "10", "9" * 25):
        assert status(Upload_Offset=wrong) == 409
    assert status(Upload_Checksum="sha1 AAAA") == 400
    assert service.patch(client, location, 5, b"678901").status_code == 413
    assert service.offset(client, location) == 5
    assert on_disk(service, location) == 5, "nothing was written"
    assert status() == 204
    assert service.offset(client, location) == 8


def test_an_upload_of_unstated_length_is_stopped_at_its_end(
    service: Service, client: httpx.Client
) -> None:
    location = service.create(client, 3 * MIB)

    def body() -> Iterator[bytes]:
        for _ in range(8):
            yield bytes(MIB)

    headers = {**TUS, **OCTETS, "Upload-Offset": "0"}
    assert client.patch(location, headers=headers, content=body()).status_code == 413
    assert service.upload_row(name_of(location))["state"] == "open"
    assert service.offset(client, location) <= 3 * MIB
    # The same in a body that fits.
    offset = service.offset(client, location)
    rest = client.patch(
        location,
        headers={**headers, "Upload-Offset": str(offset)},
        content=iter([bytes(3 * MIB - offset)]),
    )
    assert rest.status_code == 204
    assert rest.headers["wsi-slide-id"]


@pytest.mark.parametrize("algorithm", ["sha1", "sha256"])
@pytest.mark.parametrize("size", [1000, 20 * MIB])
def test_bad_bytes_do_not_count(
    service: Service, client: httpx.Client, algorithm: str, size: int
) -> None:
    data = os.urandom(size)
    location = service.create(client, size + 10)
    assert service.patch(client, location, 0, b"0123456789").status_code == 204
    bad = checksum(data + b"x", algorithm)
    answer = service.patch(client, location, 10, data, Upload_Checksum=bad)
    assert answer.status_code == 460
    assert answer.json()["type"] == "/problems/checksum-mismatch"
    assert service.offset(client, location) == 10
    assert on_disk(service, location) == 10
    good = checksum(data, algorithm)
    answer = service.patch(client, location, 10, data, Upload_Checksum=good)
    assert answer.status_code == 204
    assert int(answer.headers["upload-offset"]) == size + 10


def test_the_first_bytes_may_come_along(
    service: Service, client: httpx.Client, slide: bytes
) -> None:
    headers = {**TUS, **OCTETS, **metadata("a.tiff"), "Upload-Length": str(len(slide))}
    part = client.post(
        "/v1/uploads",
        headers={**headers, "Upload-Checksum": checksum(slide[:100])},
        content=slide[:100],
    )
    assert (part.status_code, part.headers["upload-offset"]) == (201, "100")
    assert service.patch(client, part.headers["location"], 100, slide[100:]).status_code == 204
    whole = client.post("/v1/uploads", headers=headers, content=slide)
    assert (whole.status_code, whole.headers["upload-offset"]) == (201, str(len(slide)))
    slide_id = whole.headers["wsi-slide-id"]
    assert service.checked(client, slide_id)["sha256"] == hashlib.sha256(slide).hexdigest()


def test_an_upload_that_began_badly_is_not_there(service: Service, client: httpx.Client) -> None:
    before, ended = service.spooled(), service.actions().count("upload.terminate")
    headers = {**TUS, **OCTETS, "Upload-Length": "10"}
    bad = {**headers, "Upload-Checksum": checksum(b"other")}
    assert client.post("/v1/uploads", headers=bad, content=b"12345").status_code == 460
    assert client.post("/v1/uploads", headers=headers, content=b"1" * 11).status_code == 413
    wrong = {**headers, "Content-Type": "text/plain"}
    assert client.post("/v1/uploads", headers=wrong, content=b"12345").status_code == 415
    # Its client will never learn the address.
    broken = {**authorised(service), **headers, "Content-Length": "10"}
    service.connect("POST", "/v1/uploads", broken, b"12345").close()
    until(lambda: service.actions().count("upload.terminate") == ended + 3)
    # Slides of other tests may still be leaving.
    until(lambda: service.spooled().keys() <= before.keys())


def test_an_empty_file_is_told_to_be_one(service: Service, client: httpx.Client) -> None:
    answer = client.post("/v1/uploads", headers={**TUS, "Upload-Length": "0"})
    assert (answer.status_code, answer.headers["upload-offset"]) == (201, "0")
    found = service.checked(client, answer.headers["wsi-slide-id"])
    assert found["state"] == "rejected"
    assert found["problem"]["status"] == 422
    assert found["name"] == "unnamed"


def test_a_picture_is_a_slide_without_a_spacing(service: Service, client: httpx.Client) -> None:
    data = io.BytesIO()
    Image.new("RGB", (400, 300), (230, 200, 220)).save(data, "png", dpi=(72, 72))
    location = service.create(client, len(data.getvalue()), "roi.png")
    service.patch(client, location, 0, data.getvalue())
    slide_id = client.head(location, headers=TUS).headers["wsi-slide-id"]
    found = service.checked(client, slide_id)
    assert (found["state"], found["name"]) == ("ready", "roi.png")
    assert service.stored(slide_id).suffix == ".png"
    told = client.get(f"/v1/slides/{slide_id}/pyramid").json()
    assert (told["dimensions"], told["mpp"]) == ({"width": 400, "height": 300}, None)
    tile = client.get(f"/v1/slides/{slide_id}/thumbnail?size=100")
    assert Image.open(io.BytesIO(tile.content)).size == (100, 75)


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (b"<!doctype html>", "is a web page, not a slide"),
        (b"PK-text", "is a text file, not a slide"),
        (b"%PDF-1.4 \xff", "is a PDF document"),
        (b"\x89PNG\r\n\x1a\n", "the file is truncated"),
        (bytes(9), "it was not copied whole"),
    ],
)
def test_what_is_no_slide_is_named(
    service: Service, client: httpx.Client, content: bytes, cause: str
) -> None:
    location = service.create(client, len(content), "a.svs")
    service.patch(client, location, 0, content)
    slide_id = client.head(location, headers=TUS).headers["wsi-slide-id"]
    found = service.checked(client, slide_id)
    assert found["state"] == "rejected"
    assert cause in found["problem"]["detail"]


@pytest.mark.parametrize("checked", [False, True])
def test_what_came_before_the_line_broke(
    service: Service, client: httpx.Client, checked: bool
) -> None:
    size = 3 * MIB + 17
    data = os.urandom(2 * size)
    location = service.create(client, len(data))
    headers = {**authorised(service), **OCTETS, "Upload-Offset": "0"}
    headers |= {"Content-Length": str(len(data))}
    if checked:
        headers |= {"Upload-Checksum": checksum(data)}
    connection = service.connect("PATCH", location, headers, data[:size])
    until(lambda: (on_disk(service, location) or 0) >= 2 * MIB)
    connection.close()
    expected = 0 if checked else size
    until(lambda: on_disk(service, location) == expected)
    until(lambda: service.offset(client, location) == expected)
    rest = data[expected:]
    answer = service.patch(client, location, expected, rest, Upload_Checksum=checksum(rest))
    assert answer.status_code == 204
    with service.database.read() as reading:
        wanted = slides.select().where(slides.c.id == answer.headers["wsi-slide-id"])
        assert reading.execute(wanted).mappings().one()["size_bytes"] == len(data)


def test_bytes_count_while_more_come(service: Service, client: httpx.Client) -> None:
    data = os.urandom(40 * MIB)
    location = service.create(client, len(data))
    headers = {**authorised(service), **OCTETS, "Upload-Offset": "0"}
    headers |= {"Content-Length": str(len(data))}
    with service.connect("PATCH", location, headers, data[: 20 * MIB]) as connection:
        # At 8 MiB each, and what is left after a second.
        until(lambda: service.upload_row(name_of(location))["offset"] >= 16 * MIB)
        until(lambda: service.upload_row(name_of(location))["offset"] == 20 * MIB)
        connection.sendall(data[20 * MIB :])
        assert status_of(connection) == 204


def test_one_that_breaks_off_and_continues_is_not_kept_out(
    service: Service, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync = GrowingFile.sync

    def slowly(file: GrowingFile) -> None:
        time.sleep(0.5)
        sync(file)

    monkeypatch.setattr(GrowingFile, "sync", slowly)
    data = os.urandom(2 * MIB)
    location = service.create(client, len(data))
    headers = {**authorised(service), **OCTETS, "Upload-Offset": "0"}
    headers |= {"Content-Length": str(len(data))}
    connection = service.connect("PATCH", location, headers, data[:MIB])
    until(lambda: on_disk(service, location) == MIB)
    connection.close()
    # At once, while the server saves what came before the end of the connection.
    assert service.patch(client, location, MIB, data[MIB:]).status_code == 204


def test_of_two_writers_one_wins_and_nobody_else_waits(
    service: Service, client: httpx.Client
) -> None:
    data = os.urandom(6 * MIB)
    location = service.create(client, len(data))
    headers = {**authorised(service), **OCTETS, "Upload-Offset": "0"}
    headers |= {"Content-Length": str(len(data))}
    connection = service.connect("PATCH", location, headers, data[:MIB])
    until(lambda: on_disk(service, location) == MIB)
    stop = threading.Event()

    def keep_sending() -> None:
        for start in range(MIB, len(data), MIB // 4):
            connection.sendall(data[start : start + MIB // 4])
            if stop.wait(0.4):
                connection.sendall(data[start + MIB // 4 :])
                return

    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(keep_sending)
        other = service.patch(client, location, service.offset(client, location), b"?")
        assert other.status_code in (409, 423)
        stale = service.patch(client, location, 0, b"?" * MIB)
        assert stale.status_code == 423
        assert stale.json()["type"] == "/problems/locked"
        assert client.get("/v1/slides").status_code == 200
        assert not sending.done(), "who asks for something else waits for no upload"
        stop.set()
        sending.result()
    assert status_of(connection) == 204
    head = client.head(location, headers=TUS)
    assert head.headers["upload-offset"] == str(len(data))
    wanted = slides.select().where(slides.c.id == head.headers["wsi-slide-id"])
    with service.database.read() as reading:
        assert reading.execute(wanted).mappings().one()["size_bytes"] == len(data)


def test_eight_writers_at_once_make_one_slide(service: Service, client: httpx.Client) -> None:
    data = os.urandom(2 * MIB)
    location, before = service.create(client, len(data)), service.count(slides)
    headers = {**authorised(service), **OCTETS, "Upload-Offset": "0"}

    def send(_: int) -> int:
        with httpx.Client(base_url=service.address, timeout=60) as writer:
            return writer.patch(location, headers=headers, content=data).status_code

    with ThreadPoolExecutor(8) as pool:
        answers = sorted(pool.map(send, range(8)))
    assert answers[0] == 204
    assert set(answers[1:]) <= {409, 423}
    assert service.count(slides) == before + 1


def test_a_dead_line_does_not_keep_its_client_out(service: Service, client: httpx.Client) -> None:
    data = os.urandom(2 * MIB)
    location = service.create(client, len(data))
    headers = {**authorised(service), **OCTETS, "Upload-Offset": "0"}
    headers |= {"Content-Length": str(len(data))}
    # Nothing tells the server that this one will never send again.
    dead = service.connect("PATCH", location, headers, data[:MIB])
    until(lambda: on_disk(service, location) == MIB)
    assert service.patch(client, location, 0, b"?").status_code == 423
    until(lambda: service.patch(client, location, 0, b"?").status_code == 409)
    assert service.offset(client, location) == MIB
    assert service.patch(client, location, MIB, data[MIB:]).status_code == 204
    assert status_of(dead) == 423


def test_the_last_bytes_again_make_no_second_slide(
    service: Service, client: httpx.Client, slide: bytes
) -> None:
    location, before = service.create(client, len(slide)), service.count(slides)
    first = service.patch(client, location, 0, slide)
    slide_id = first.headers["wsi-slide-id"]
    for again in (service.patch(client, location, 0, slide) for _ in range(3)):
        assert again.status_code == 409
        assert service.offset(client, location) == len(slide)
    nothing = service.patch(client, location, len(slide), b"")
    assert nothing.status_code == 204
    assert nothing.headers["upload-offset"] == str(len(slide))
    assert nothing.headers["wsi-slide-id"] == slide_id
    assert service.patch(client, location, len(slide), b"more").status_code == 413
    service.checked(client, slide_id)
    assert service.patch(client, location, 0, slide).status_code == 409
    assert client.delete(location, headers=TUS).status_code == 409
    assert service.count(slides) == before + 1
    assert service.checked(client, slide_id)["state"] == "ready"
    assert on_disk(service, location) is None


def test_given_up(service: Service, client: httpx.Client) -> None:
    location = service.create(client, 2 * MIB)
    service.patch(client, location, 0, bytes(MIB))
    assert on_disk(service, location) == MIB
    assert client.delete(location, headers=TUS).status_code == 204
    assert on_disk(service, location) is None
    for answer in (
        client.head(location, headers=TUS),
        service.patch(client, location, MIB, bytes(MIB)),
        client.delete(location, headers=TUS),
    ):
        assert answer.status_code == 410
        assert "upload-offset" not in answer.headers
    assert on_disk(service, location) is None


def test_given_up_while_it_is_written(service: Service, client: httpx.Client) -> None:
    location, before = service.create(client, 4 * MIB), service.count(slides)
    headers = {**authorised(service), **OCTETS, "Upload-Offset": "0"}
    headers |= {"Content-Length": str(4 * MIB)}
    with service.connect("PATCH", location, headers, bytes(2 * MIB)) as connection:
        until(lambda: on_disk(service, location) == 2 * MIB)
        assert client.delete(location, headers=TUS).status_code == 204
        connection.sendall(bytes(2 * MIB))
        assert status_of(connection) == 410
    assert on_disk(service, location) is None
    assert service.count(slides) == before


def test_other_methods_for_those_who_can_only_post(service: Service, client: httpx.Client) -> None:
    location = service.create(client, 10)
    headers = {**TUS, **OCTETS, "Upload-Offset": "0", "X-HTTP-Method-Override": "PATCH"}
    answer = client.post(location, headers=headers, content=b"12345")
    assert (answer.status_code, answer.headers["upload-offset"]) == (204, "5")
    assert client.post(location, headers=TUS).status_code == 405
    override = {**TUS, "X-HTTP-Method-Override": "DELETE"}
    assert client.post(location, headers=override).status_code == 204
    assert client.head(location, headers=TUS).status_code == 410


def test_no_other_site_is_let_in(service: Service, client: httpx.Client) -> None:
    location = service.create(client, 10)
    origin = {"Origin": "https://elsewhere.example", "Access-Control-Request-Method": "PATCH"}
    for answer in (
        client.options("/v1/uploads", headers=origin),
        client.head(location, headers={**TUS, **origin}),
        client.post("/v1/uploads", headers={**TUS, **origin, "Upload-Length": "1"}),
    ):
        assert not [name for name in answer.headers if name.startswith("access-control")]


def test_limits_refuse_before_a_byte_is_taken(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("limited")
    with (
        serving(folder, max_upload_bytes=1000, quota_bytes=1500) as service,
        service.client() as client,
    ):
        headers = {**TUS, **OCTETS}
        too_large = {**headers, "Upload-Length": "1001"}
        assert client.post("/v1/uploads", headers=TUS | too_large).status_code == 413
        answer = client.post("/v1/uploads", headers=too_large, content=bytes(1001))
        assert answer.status_code == 413
        assert answer.json()["type"] == "/problems/too-large"
        service.create(client, 1000)
        over = client.post("/v1/uploads", headers={**TUS, "Upload-Length": "501"})
        assert over.status_code == 413
        assert "500 left" in over.json()["detail"]
        last = service.create(client, 500)
        with service.client("other") as other:
            service.create(other, 1000)
        client.delete(last, headers=TUS)
        service.create(client, 500)
        assert service.spooled() == {}


def test_nobody_came_back(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("expiring")
    with serving(folder, upload_expiry_seconds=1.5) as service, service.client() as client:
        location = service.create(client, 100)
        for offset in range(4):  # continued in time, however long it takes
            time.sleep(0.5)
            assert service.patch(client, location, offset, b"x").status_code == 204
        until(lambda: client.head(location, headers=TUS).status_code == 410, limit=10)
        assert service.patch(client, location, 4, b"x").status_code == 410
        assert client.delete(location, headers=TUS).status_code == 410


def test_a_full_disk_loses_nothing(tmp_path_factory: pytest.TempPathFactory) -> None:
    # No file of this process may grow beyond 12 MiB.
    limit = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({12 * MIB},) * 2)"
    data = os.urandom(20 * MIB)
    with (
        killable(tmp_path_factory.mktemp("full"), limit) as (service, _),
        service.client() as client,
    ):
        location = service.create(client, len(data))
        assert service.patch(client, location, 0, data[: 5 * MIB]).status_code == 204
        answer = service.patch(client, location, 5 * MIB, data[5 * MIB :])
        assert answer.status_code == 507
        assert answer.json()["type"] == "/problems/no-space"
        assert answer.headers["retry-after"]
        offset = service.offset(client, location)
        assert 5 * MIB <= offset < 12 * MIB
        assert on_disk(service, location) == offset
        kept = (service.settings.spool_dir / name_of(location)).read_bytes()
        assert kept == data[:offset]
        checked = service.patch(
            client, location, offset, data[offset:], Upload_Checksum=checksum(data[offset:])
        )
        assert checked.status_code == 507
        assert service.offset(client, location) == on_disk(service, location) == offset
        # There is room again.
        rest = data[offset : 11 * MIB]
        assert service.patch(client, location, offset, rest).status_code == 204
        assert service.offset(client, location) == 11 * MIB
        put = client.put("/v1/slides", params={"name": "a"}, content=data)
        assert put.status_code == 507
        assert list(service.spooled().values()) == [11 * MIB]


@pytest.mark.slow
def test_an_orderly_stop_keeps_what_came(tmp_path_factory: pytest.TempPathFactory) -> None:
    data = os.urandom(3 * MIB)
    folder = tmp_path_factory.mktemp("stopped")
    with killable(folder) as (service, processes), service.client() as client:
        location = service.create(client, len(data))
        headers = {**authorised(service), **OCTETS, "Upload-Offset": "0"}
        headers |= {"Content-Length": str(len(data))}
        connection = service.connect("PATCH", location, headers, data[: 2 * MIB + 5])
        until(lambda: on_disk(service, location) == 2 * MIB + 5)
        processes.stop()
        assert status_of(connection) == 503
        processes.kill()  # what is stopped already; the next one takes over
        assert service.offset(client, location) == 2 * MIB + 5
        rest = service.patch(client, location, 2 * MIB + 5, data[2 * MIB + 5 :])
        assert rest.status_code == 204
