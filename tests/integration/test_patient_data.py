"""A patient's name in label, tags and file name is in nothing the service shows, says or logs."""

import base64
import io
import json
import os
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import numpy as np
import pydicom
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from api.app import create_app
from api.server import listen
from wsi_pipeline.service import schema
from wsi_pipeline.service.access import Scope
from wsi_pipeline.service.database import Database
from wsi_pipeline.service.keys import ApiKeys
from wsi_pipeline.service.settings import ServiceSettings
from wsi_pipeline.slide import open_slide

#: As it is planted, and in parts: no part of it may come out.
PATIENT = "Quirinalia Zyxwvutson"
WORDS = ("quirinalia", "zyxwvutson", "19410203")
#: Colours of the pictures in the file that are not the scan.
LABEL, MACRO, PREVIEW = (255, 0, 255), (0, 255, 0), (0, 0, 255)
SCAN = (200, 150, 170)


@dataclass
class Running:
    """The service in a process of its own, with all that it ever said."""

    settings: ServiceSettings
    client: httpx.Client
    other: httpx.Client
    log: Path
    said: list[tuple[str, bytes]] = field(default_factory=list)
    routes: set[str] = field(default_factory=set)

    def get(self, path: str, template: str = "", **options: Any) -> httpx.Response:
        """Ask, and remember the whole answer; ``template`` is the route's."""
        answer = self.client.get(path, **options)
        self.remember(answer)
        self.routes.add(template or path)
        return answer

    def remember(self, answer: httpx.Response) -> None:
        head = "\n".join(f"{key}: {value}" for key, value in answer.headers.items())
        self.said.append((f"{answer.request.method} {answer.url.path}", head.encode()))
        self.said.append((f"{answer.request.method} {answer.url.path}", answer.content))

    def ready(self, slide_id: str) -> dict[str, Any]:
        deadline = time.monotonic() + 60
        while True:
            slide: dict[str, Any] = self.client.get(f"/v1/slides/{slide_id}").json()
            if slide["state"] != "checking":
                assert slide["state"] == "ready", slide["problem"]
                return slide
            assert time.monotonic() < deadline, "the slide is still being checked"
            time.sleep(0.05)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Running]:
    """The real program: its log is the one an operator reads."""
    settings = ServiceSettings(
        data_dir=tmp_path / "data", models_dir=tmp_path / "models", roots=(tmp_path / "archive",)
    )
    settings.data_dir.mkdir()
    settings.roots[0].mkdir()
    database = Database(settings.database_url)
    schema.migrate(database)
    keys = ApiKeys(database)
    mine, others = (keys.create(name, "k", Scope.ADMIN)[1] for name in ("mine", "other"))
    database.close()
    reading, writing = os.pipe()
    log = tmp_path / "log"
    with listen("127.0.0.1", 0) as sock, log.open("wb") as output:
        told = {
            "WSI_DATA_DIR": str(settings.data_dir),
            "WSI_MODELS_DIR": str(settings.models_dir),
            "WSI_ROOTS": json.dumps([str(root) for root in settings.roots]),
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "api", "--fd", str(sock.fileno()), "--ready", str(writing)],
            stdout=output,
            stderr=output,
            pass_fds=[sock.fileno(), writing],
            env={**os.environ, **told},
        )
        os.close(writing)
        try:
            assert os.read(reading, 1) == b"1", log.read_text()
            address = f"http://127.0.0.1:{sock.getsockname()[1]}"
            clients = [
                httpx.Client(
                    base_url=address, headers={"Authorization": f"Bearer {key}"}, timeout=60
                )
                for key in (mine, others)
            ]
            with clients[0], clients[1]:
                yield Running(settings, clients[0], clients[1], log)
        finally:
            process.terminate()
            process.wait(60)
            os.close(reading)


def picture(size: tuple[int, int], colour: tuple[int, int, int]) -> NDArray[np.uint8]:
    """A picture with the name written on it."""
    image = Image.new("RGB", size, colour)
    ImageDraw.Draw(image).text((4, 4), PATIENT, fill=(0, 0, 0))
    return np.asarray(image)


def write_aperio(path: Path) -> None:
    """A slide as Aperio writes it: scan, preview, coarser level, label and macro, all described."""
    scan = np.full((900, 1200, 3), SCAN, np.uint8)
    scan[::5] -= 12
    facts = f"|AppMag = 20|MPP = 0.5|Patient = {PATIENT}|Filename = {PATIENT}|DOB = 19410203"
    first = f"Aperio Image Library v11\n1200x900 [0,0 1200x900] (256x256) JPEG/RGB Q=70{facts}"
    tiled: dict[str, Any] = {"tile": (256, 256), "compression": "deflate", "photometric": "rgb"}
    plain: dict[str, Any] = {"compression": "deflate", "photometric": "rgb", "rowsperstrip": 64}
    with tifffile.TiffWriter(path) as tiff:
        own: dict[str, Any] = {
            "metadata": None,
            "software": PATIENT,
            "datetime": "1941:02:03 00:00:00",
        }
        artist = [(315, 2, 0, PATIENT, True), (33432, 2, 0, PATIENT, True)]
        tiff.write(scan, description=first, extratags=artist, **own, **tiled)
        tiff.write(picture((256, 192), PREVIEW), description=f"{first} - 256x192", **own, **plain)
        tiff.write(scan[::4, ::4], description=f"{first} -> 300x225", **own, **tiled)
        for name, colour, kind in (("label", LABEL, 1), ("macro", MACRO, 9)):
            tiff.write(
                picture((200, 180), colour),
                description=f"Aperio Image Library v11\n{name} 200x180 {PATIENT}",
                subfiletype=kind,
                **own,
                **plain,
            )


def shown(service: Running, slide_id: str) -> list[NDArray[np.uint8]]:
    """Ask every route there is about a slide; the pictures it gives."""
    base, template = f"/v1/slides/{slide_id}", "/v1/slides/{slide_id}"
    service.get(base, template)
    service.get(f"{base}.dzi", f"{template}.dzi")
    square = [[[0, 0], [9, 0], [9, 9], [0, 9]]]
    order = {"tool": "polygon", "class_name": "Tumor", "rings": square}
    drawn = service.client.put(f"{base}/drawings/{'ab' * 16}", json=order)
    service.remember(drawn)
    assert drawn.is_success, drawn.text
    service.get(f"{base}/drawings", f"{template}/drawings")
    for ending in ("geojson", "xml"):
        service.get(f"{base}/drawings.{ending}", f"{template}/drawings.{{ending}}")
    pyramid = service.get(f"{base}/pyramid", f"{template}/pyramid").json()
    answers = [
        service.get(f"{base}/thumbnail", f"{template}/thumbnail", params=params)
        for params in ({}, {"size": 16}, {"size": 2048, "format": "png"})
    ]
    tile = f"{template}_files/{{level}}/{{column}}_{{row}}.{{image_format}}"
    for level in pyramid["zoom_levels"]:
        for row in range(level["rows"]):
            for column in range(level["columns"]):
                for kind in pyramid["formats"]:
                    path = f"{base}_files/{level['level']}/{column}_{row}.{kind}"
                    answers.append(service.get(path, tile))
    for path in (
        f"{base}_files/99/0_0.jpeg",
        f"{base}_files/0/5_5.png",
        f"{base}/thumbnail?size=1",
    ):
        assert service.get(path).status_code in (404, 422)
    for name in ("label", "macro", "thumbnail.tiff", "properties", "associated/label", "file"):
        assert service.get(f"{base}/{name}").status_code == 404
    assert all(answer.status_code == 200 for answer in answers)
    for answer in answers:
        image = Image.open(io.BytesIO(answer.content))
        image.load()
        # Nothing rides along: no comment, EXIF, text, profile.
        assert set(image.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}, image.info
        assert not image.getexif()
    return [np.asarray(Image.open(io.BytesIO(answer.content))) for answer in answers]


def forms(word: str) -> set[bytes]:
    """A word as it may stand in bytes."""
    found = {quote(word).encode(), word.encode("utf-16-le"), word.encode("utf-16-be")}
    for before in ("", "x", "xx"):
        # Of a text in base64, the middle is the same whatever is around it.
        found.add(base64.b64encode((before + word).encode())[4:-4].lower())
    return found | {word.encode()}


def assert_unsaid(service: Running, names: tuple[str, ...] = ()) -> None:
    """Neither answers nor the log hold a part of the name, but where the workspace gave it."""
    wanted = {form for word in WORDS for form in forms(word)}
    checked = [*service.said, ("log", service.log.read_bytes())]
    assert len(checked) > 10
    for what, answered in checked:
        data = answered
        if data.startswith(b"{") and b'"name"' in data:
            data = json.dumps(without_names(json.loads(data), names)).encode()
        low = data.lower()
        for form in wanted:
            assert form not in low, f"{what} holds {form!r}"


def without_names(value: Any, names: tuple[str, ...]) -> Any:
    """JSON without the field that shows the workspace what it called a slide."""
    if isinstance(value, dict):
        return {
            key: without_names(part, names)
            for key, part in value.items()
            if not (key == "name" and part in names)
        }
    return [without_names(part, names) for part in value] if isinstance(value, list) else value


def assert_only_the_scan(pictures: list[NDArray[np.uint8]]) -> None:
    for image in pictures:
        assert np.abs(image.astype(int) - SCAN).max() < 60


def test_the_planted_slide_is_what_it_should_be(tmp_path: Path) -> None:
    """Else the test below would look for what is not there."""
    path = tmp_path / "a.svs"
    write_aperio(path)
    reader = open_slide(path)
    assert reader.info.vendor == "aperio"
    assert len(reader.info.levels) == 2
    reader.close()
    data = path.read_bytes()
    assert data.count(PATIENT.encode()) > 10
    with tifffile.TiffFile(path) as tiff:
        label, macro = (page.aspage().asarray() for page in tiff.pages[-2:])
    for image, colour in ((label, LABEL), (macro, MACRO)):
        assert (image == colour).all(axis=-1).mean() > 0.5
        assert (image != colour).any(axis=-1).sum() > 100, "the name is written on it"
    with pytest.raises(AssertionError):
        assert_only_the_scan([label])


def test_a_name_in_label_tags_and_file_name(service: Running, tmp_path: Path) -> None:
    name = f"{PATIENT}, *1941-02-03.svs"
    write_aperio(tmp_path / "a.svs")
    content = (tmp_path / "a.svs").read_bytes()
    answer = service.client.put("/v1/slides", params={"name": name}, content=content)
    service.remember(answer)
    slide_id = answer.json()["id"]
    assert service.ready(slide_id)["name"] == name
    service.get("/v1/slides")
    service.get("/v1/slides", params={"search": PATIENT})
    pictures = shown(service, slide_id)
    assert len(pictures) > 20
    assert_only_the_scan(pictures)

    # Every route that shows something of slides was asked.
    document = service.get("/v1/openapi.json").json()
    slides = {
        path
        for path, methods in document["paths"].items()
        if path.startswith("/v1/slides") and "get" in methods
    }
    assert slides <= service.routes

    other = service.other.get(f"/v1/slides/{slide_id}")
    service.remember(other)
    assert other.status_code == 404
    assert service.other.get("/v1/slides").json()["total"] == 0
    image = f"{PATIENT}/*1941-02-03.png"
    kept = service.client.put("/v1/images", params={"name": image}, content=content)
    service.remember(kept)
    image_id = kept.json()["id"]
    for path in ("", f"/{image_id}", f"/{image_id}/thumbnail", "/jobs"):
        service.get(f"/v1/images{path}")
    # The file is as the user sent it, but not its name.
    headers = service.client.get(f"/v1/images/{image_id}/file").headers
    service.said.append(("headers of a file", str(headers).encode()))
    service.remember(service.client.delete(f"/v1/images/{image_id}"))
    assert service.get("/metrics").status_code == 200
    service.remember(service.client.delete(f"/v1/slides/{slide_id}"))
    assert service.get(f"/v1/slides/{slide_id}").status_code == 404
    assert_unsaid(service, (name, image))
    log = service.log.read_text()
    assert slide_id in log, "the log is the one that is looked at"


def test_a_linked_file_named_after_a_patient(service: Running) -> None:
    """Damaged and removed under the service: errors quote no path."""
    path = service.settings.roots[0] / PATIENT / f"{PATIENT}.svs"
    path.parent.mkdir()
    write_aperio(path)
    answer = service.client.post("/v1/slides", json={"uri": path.as_uri(), "name": "case 7"})
    service.remember(answer)
    assert answer.status_code == 201, answer.text
    slide_id = answer.json()["id"]
    service.ready(slide_id)
    assert_only_the_scan(shown(service, slide_id))
    whole = path.read_bytes()

    second = service.client.post("/v1/slides", json={"uri": path.as_uri()}).json()["id"]
    assert service.ready(second)["name"] == path.name
    with tifffile.TiffFile(path) as tiff:
        first = tiff.pages.first.dataoffsets[0]
    path.write_bytes(whole[:first] + bytes(len(whole) - first))
    service.client.delete(f"/v1/slides/{slide_id}")  # closes what is open
    assert service.get(f"/v1/slides/{second}_files/11/0_0.png").status_code == 422
    path.unlink()
    assert service.get(f"/v1/slides/{second}_files/11/1_0.png").status_code == 410
    rejected = service.settings.roots[0] / f"{PATIENT}.tiff"
    rejected.write_bytes(b"no slide at all")
    third = service.client.post("/v1/slides", json={"uri": rejected.as_uri()}).json()["id"]
    deadline = time.monotonic() + 60
    while (state := service.client.get(f"/v1/slides/{third}").json()["state"]) == "checking":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert state == "rejected"
    service.get(f"/v1/slides/{third}")
    service.get("/metrics")
    assert_unsaid(service, (path.name, rejected.name))


def test_a_name_in_dicom_tags(service: Running, data: Path, tmp_path: Path) -> None:
    """A series in a ZIP whose files, too, are called after the patient."""
    archive = tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w") as zipped:
        for number, path in enumerate(sorted((data / "slides" / "boxes-dicom").iterdir())):
            dataset = pydicom.dcmread(path)
            dataset.PatientName = "Zyxwvutson^Quirinalia"
            dataset.PatientID = "QUIRINALIA-1"
            dataset.PatientBirthDate = "19410203"
            dataset.ContainerIdentifier = f"{PATIENT} 1"
            dataset.save_as(tmp_path / "one.dcm")
            zipped.write(tmp_path / "one.dcm", f"{PATIENT}/{PATIENT} {number}.dcm")
    assert b"Quirinalia" in archive.read_bytes()
    name = f"{PATIENT}.zip"
    answer = service.client.put("/v1/slides", params={"name": name}, content=archive.read_bytes())
    service.remember(answer)
    slide = service.ready(answer.json()["id"])
    assert slide["info"]["vendor"] == "dicom"
    shown(service, slide["id"])
    service.get("/metrics")
    assert_unsaid(service, (name,))


def test_the_document_has_no_route_for_more() -> None:
    """A route added later has to be looked at here first."""
    paths = create_app(ServiceSettings()).openapi()["paths"]
    assert {path for path in paths if path.startswith("/v1/slides")} == {
        "/v1/slides",
        "/v1/slides/{slide_id}",
        "/v1/slides/{slide_id}.dzi",
        "/v1/slides/{slide_id}/drawings",
        "/v1/slides/{slide_id}/drawings.{ending}",
        "/v1/slides/{slide_id}/drawings/{drawing_id}",
        "/v1/slides/{slide_id}/pyramid",
        "/v1/slides/{slide_id}/thumbnail",
        "/v1/slides/{slide_id}_files/{level}/{column}_{row}.{image_format}",
    }
