"""Disks that are full: told plainly, nothing lost, and everything goes on once there is room."""

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from acceptance_support import Wsi, assert_same_arrays
from disks_support import Disk, small_disk
from uploads_support import MIB, TUS, killable, until, write_slide
from workers_support import crew, draw_slide

from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.service.jobs.job import JobState
from wsi_pipeline.stitch.verification import verify
from wsi_pipeline.testing.encoders import make_encoder_package


@pytest.fixture
def disk() -> Iterator[Disk]:
    # More than what the service leaves free for everything else, 64 MiB.
    with small_disk(96 * MIB) as made:
        yield made


def test_an_upload_goes_on_where_it_was(disk: Disk, tmp_path: Path) -> None:
    """Data folder, database and store are all on the disk that is full."""
    data = write_slide(tmp_path / "a.tiff", size_bytes=12 * MIB)
    with killable(disk.folder / "data") as (service, _), service.client() as client:
        location = service.create(client, len(data))
        other = service.create(client, 1000)
        assert service.patch(client, location, 0, data[: 4 * MIB]).status_code == 204
        with disk.filled():
            for answer in (
                service.patch(client, location, 4 * MIB, data[4 * MIB :]),
                client.put("/v1/slides", params={"name": "b.tiff"}, content=data),
                client.put("/v1/images", params={"name": "b.png"}, content=data),
                client.post("/v1/uploads", headers={**TUS, "Upload-Length": "1000"}),
            ):
                assert answer.status_code == 507, answer.text
                assert answer.json()["type"] == "/problems/no-space"
                assert answer.headers["retry-after"]
            # A change of the database alone.
            answer = client.delete(other, headers=TUS)
            assert answer.status_code in (503, 507), answer.text
            assert "full" in answer.json()["detail"]
            assert answer.headers["retry-after"]
            assert client.get("/v1/slides").json()["total"] == 0
            assert client.get("/healthz").status_code == 200
            offset = service.offset(client, location)
        assert offset >= 4 * MIB
        assert service.patch(client, location, offset, data[offset:]).status_code == 204
        assert client.delete(other, headers=TUS).status_code == 204
        (slide,) = client.get("/v1/slides").json()["slides"]
        assert service.checked(client, slide["id"])["state"] == "ready"
        assert service.stored(slide["id"]).read_bytes() == data


@pytest.mark.slow
def test_a_check_waits_for_room(disk: Disk, tmp_path: Path) -> None:
    """The slide is not the worse for it."""
    data = write_slide(tmp_path / "a.tiff")
    shutil.make_archive(str(tmp_path / "a"), "zip", tmp_path, "a.tiff")
    zipped = (tmp_path / "a.zip").read_bytes()
    with killable(disk.folder / "data") as (service, _), service.client() as client:
        # Enough for the database and the upload, not for what the ZIP unpacks to.
        with disk.filled(leave=64 * MIB + len(zipped) + 10 * 4096):
            answer = client.put("/v1/slides", params={"name": "a.zip"}, content=zipped)
            assert answer.status_code == 201, answer.text
            slide = f"/v1/slides/{answer.json()['id']}"
            time.sleep(2)
            assert client.get(slide).json()["state"] == "checking"
        assert service.checked(client, answer.json()["id"])["state"] == "ready"
        assert service.stored(answer.json()["id"]).read_bytes() == data


@pytest.mark.slow
def test_a_run_goes_on_where_it_was(wsi: Wsi, disk: Disk, tmp_path: Path) -> None:
    slide = draw_slide(tmp_path / "a.tiff", 1, side=900)
    fp32 = ("--precision", "fp32")  # to try others takes longer than the slide
    code, _ = wsi.run(slide, "-o", tmp_path / "undisturbed", *fp32)
    assert code == 0
    out = disk.folder / "out"
    with disk.filled():
        told = wsi("run", slide, "-o", out, "--model", wsi.package.folder, "-q", *fp32)
        assert told.returncode in (1, 3)
        assert "No space left on device" in told.stderr
        # The slide that was under way, and why the run ended.
        lines = told.stderr.splitlines()
        assert [line.rpartition("] ")[2] for line in lines] == ["No space left on device"] * 2
        assert not (out / "a.zarr").exists()
    code, summary = wsi.run(slide, "-o", out, *fp32)
    assert (code, summary["slides"][0]["status"]) == (0, "done")
    verify(out / "a.zarr")
    assert_same_arrays(out / "a.zarr", tmp_path / "undisturbed" / "a.zarr")
    assert not list(out.glob(".*"))


@pytest.mark.slow
def test_files_beside_a_result_are_written_when_there_is_room(
    model_cache: Path, disk: Disk, tmp_path: Path
) -> None:
    """The result is kept, the slide is named, and the next one is computed all the same."""
    encoder = make_encoder_package(tmp_path / "encoder")
    wsi, out = Wsi(encoder, model_cache), disk.folder / "out"
    slides = [draw_slide(tmp_path / f"{name}.tiff", 1, side=900) for name in "ab"]
    asked = ("--encoder", encoder.folder, "--runtime", "torch", "--device", "cpu", "-q", "--h5")
    assert wsi("features", *slides, "-o", out, *asked).returncode == 0
    written = (out / "a.h5").read_bytes()
    for name in "ab":
        (out / f"{name}.h5").unlink()
    # Enough for the table of results, not for features.
    with disk.filled(leave=len(written) // 2):
        told = wsi("features", *slides, "-o", out, *asked)
        assert told.returncode == 3
        lines = [line for line in told.stderr.splitlines() if ".h5 cannot be written" in line]
        assert len(lines) == 2
        assert "No space left on device" in lines[0]
        assert not list(out.glob("*.h5"))
    verify(out / "a.zarr")
    assert wsi("features", *slides, "-o", out, *asked).returncode == 0
    assert (out / "a.h5").read_bytes() == written
    assert not list(out.glob(".*"))


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_worker_gives_jobs_back_and_goes_on(
    package: ModelPackage, model_cache: Path, disk: Disk, tmp_path: Path
) -> None:
    """However often it tries: a full disk is no fault of a job's, and costs it no attempt."""
    extra = {"WSI_DATA_DIR": str(disk.folder / "data")}
    with crew(package, model_cache, extra=extra) as service:
        slides = [service.add(draw_slide(tmp_path / f"{seed}.tiff", seed)) for seed in range(2)]
        with disk.filled():
            worker = service.start()
            jobs = service.submit(slides, precision="fp32")
            until(lambda: worker.lines().count("job given back") >= 4, limit=240)
            assert "No space left on device" in worker.lines()
            for job in service.states(jobs):
                assert job.state in (JobState.QUEUED, JobState.RUNNING)
                assert job.attempts == 0
        done = service.succeeded(jobs, 240)
        for job in done:
            assert np.isfinite(verify(service.result(job)).probability).any()
