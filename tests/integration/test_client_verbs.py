"""``wsi client upload`` over real sockets: folders, and slides that are not taken among others."""

import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from client_verb_support import ClientVerb
from service_support import TOKEN, Service, running, settings_in

from wsi_pipeline.client import Client
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.testing import write_pyramid


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
def verb(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    service: Service,
    tmp_path: Path,
) -> ClientVerb:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return ClientVerb(monkeypatch, capsys, service)


@pytest.fixture
def small(tmp_path: Path) -> Path:
    path = tmp_path / "small.tiff"
    write_pyramid(path, np.full((300, 400, 3), 200, np.uint8))
    return path


def test_a_folder_is_sent_and_bad_slides_do_not_stop_the_others(
    verb: ClientVerb, service: Service, small: Path, data: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "today"
    (folder / "below").mkdir(parents=True)
    (folder / "a-text.svs").write_text("no slide\n" * 100)
    (folder / "an-empty-one.svs").touch()
    shutil.copy(small, folder / "below" / "good.tiff")
    shutil.copy(small, folder / "below" / "good_mask.tiff")
    shutil.copytree(data / "slides" / "boxes-dicom", folder / "series")
    code, out, err = verb("upload", folder)
    assert code == 3
    with Client(service.url, TOKEN, state_dir=tmp_path / "state") as client:
        names = [client.slide(slide).name for slide in out.split()]
    assert sorted(names) == ["good.tiff", "series.zip"], "masks are none, rejected ones not printed"
    assert re.search(r"a-text\.svs \(slide [0-9a-f]{32}\): is a text file, not a slide", err)
    assert "an-empty-one.svs is empty" in err


def test_one_file_of_several_sends_all_of_them(
    verb: ClientVerb, data: Path, tmp_path: Path
) -> None:
    series = tmp_path / "series"
    shutil.copytree(data / "slides" / "boxes-dicom", series)
    whole = sum(file.stat().st_size for file in series.iterdir())
    code, out, err = verb("upload", series / "boxes_1.dcm", "--json")
    assert code == 0, err
    (slide,) = json.loads(out)
    assert (slide["name"], slide["size_bytes"]) == ("series.zip", whole)
    (series / "notes.txt").write_text("another slide may lie here too")
    code, out, err = verb("upload", series / "boxes_1.dcm")
    assert (code, out) == (3, "")
    assert "a folder of their own" in err


def test_what_is_not_there_is_told_before_anything_is_sent(
    verb: ClientVerb, service: Service, small: Path, tmp_path: Path
) -> None:
    (tmp_path / "nothing-in-it").mkdir()
    for wrong in (tmp_path / "absent.svs", tmp_path / "nothing-in-it"):
        code, out, err = verb("upload", small, wrong)
        assert (code, out) == (2, "")
        assert wrong.name in err
    with Client(service.url, TOKEN, state_dir=tmp_path / "state") as client:
        assert not client.slides(search="small")


def test_a_key_that_is_not_good_ends_it_at_once(
    verb: ClientVerb, small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WSI_TOKEN", "wsi_nobody-made-this-one")
    code, out, err = verb("upload", small, small)
    assert (code, out) == (2, "")
    assert err.count("401") == 1


def test_names_that_no_slide_can_have_are_told(
    verb: ClientVerb, small: Path, tmp_path: Path
) -> None:
    """A line end, a name that is no text, a path; the others are taken."""
    lines = small.with_name("a\nb.tiff")
    bytes_ = Path(os.fsdecode(os.fsencode(tmp_path) + b"/c\xff.tiff"))
    for path in (lines, bytes_):
        shutil.copy(small, path)
    code, out, err = verb("upload", "--no-check", lines, bytes_, small)
    assert code == 3
    assert out.count("\n") == 1
    assert "the slide's name holds a line end (U+000A); rename it" in err
    assert "the name is not text in UTF-8; rename the file" in err
    assert err.count("\n") == 2, "a line for each"
    code, out, err = verb("upload", "--no-check", "--name", "../a.tiff", small)
    assert (code, out) == (3, "")
    assert "the slide's name is a path" in err


@pytest.mark.parametrize("option", ["--quiet", "--json"])
def test_waiting_quietly_still_names_a_job_that_did_not_succeed(
    verb: ClientVerb, service: Service, small: Path, tmp_path: Path, option: str
) -> None:
    with Client(service.url, TOKEN, state_dir=tmp_path / "state") as client:
        job = client.submit(client.upload(small).id, "stub")
        client.cancel(job.id)
    code, _, err = verb("wait", job.id, option)
    assert code == 3
    assert err == f"✗ {job.id} cancelled\n"


def test_the_state_of_jobs_is_readable_in_a_narrow_terminal(
    verb: ClientVerb,
    service: Service,
    small: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with Client(service.url, TOKEN, state_dir=tmp_path / "state") as client:
        slide = client.upload(small).id
        waiting, given_up = (client.submit(slide, "stub", level=level) for level in (0, None))
        client.cancel(given_up.id)
        place = client.status(waiting.id).position
        assert place is not None
    monkeypatch.setenv("COLUMNS", "80")
    code, out, _ = verb("status", waiting.id, given_up.id)
    heading, *rows = (line.split() for line in out.splitlines())
    assert (code, heading) == (0, ["job", "state", "stage"]), "what no job has is left out"
    assert rows == [[waiting.id, "queued", "place", str(place)], [given_up.id, "cancelled"]]


def test_a_job_in_eight_orientations_is_asked_for_as_such(
    verb: ClientVerb, service: Service, small: Path, tmp_path: Path
) -> None:
    with Client(service.url, TOKEN, state_dir=tmp_path / "state") as client:
        slide = client.upload(small).id
    configs = []
    for options in ([], ["--tta"]):
        code, out, err = verb("submit", slide, "--model", "stub", "--json", *options)
        assert code == 0, err
        configs.append(json.loads(out)[0]["config"])
    assert configs[1] == {**configs[0], "tta": True}


def test_models_are_shown_with_licence_and_notice(verb: ClientVerb) -> None:
    code, out, _ = verb("models", "--json")
    assert code == 0
    (model,) = json.loads(out)
    assert (model["name"], model["task"], model["positive"]) == ("stub", "binary", "tumour")
    code, out, _ = verb("models")
    words = " ".join(out.split())
    assert code == 0
    for said in ("stub", "tumour", "Apache-2.0", "synthetic"):
        assert said in words
