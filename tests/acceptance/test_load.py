"""Uploads, pages, tiles, heat maps, events, jobs and deletions at once, in bounded memory."""

from pathlib import Path

import httpx
import pytest
from load_support import Load, Memory, wait_until_ready
from service_process_support import TOKEN, Site
from uploads_support import MIB, write_slide
from workers_support import MODEL, draw_slide

from wsi_pipeline.model.package import ModelPackage

#: Most bytes of each process, and why.
LIMITS = {
    # Starts the others and waits.
    "serve": 200 * MIB,
    # Its caches have bounds: decoded tiles 128 MiB, encoded pictures 64 MiB; and the libraries.
    "api": 900 * MIB,
    # Waits for its analysis.
    "worker": 300 * MIB,
    # The model, OpenVINO and the tiles of two regions.
    "analysis": 3000 * MIB,
    # A check's child may have 6 GiB of address space; small slides need the libraries only.
    "check": 500 * MIB,
    # Converts a model that was never used on this machine, with torch; ends with that.
    "other": 3000 * MIB,
}
#: After the first third, when caches have filled: growth from the middle third to the last. What
#: leaks a few kB with each of some thousand requests is above it in five minutes.
GROWTH_BYTES = 60 * MIB


@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    "seconds",
    [pytest.param(25, marks=pytest.mark.slow), pytest.param(300, marks=pytest.mark.long)],
)
def test_mixed_load_stays_within_its_memory(
    package: ModelPackage, model_cache: Path, tmp_path: Path, seconds: int
) -> None:
    models = tmp_path / "models"
    models.mkdir()
    (models / MODEL).symlink_to(package.folder)
    slide = draw_slide(tmp_path / "a.tiff", 3, side=600).read_bytes()
    junk = (b"no slide at all", slide[: len(slide) // 2])
    files = [write_slide(tmp_path / f"{n}.tiff", n, 200_000) for n in range(4)]
    site = Site(tmp_path, model_cache)
    site.start()
    try:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        with httpx.Client(base_url=site.url, headers=headers, timeout=60) as client:
            sent = client.put("/v1/slides?name=a.tiff", content=slide)
            slide_id = sent.json()["id"]
            wait_until_ready(client, slide_id)
            load = Load(site.url, TOKEN, slide_id, MODEL, [*files, *junk])
            assert site.process is not None
            with Memory(site.process.pid) as memory:
                load.run(seconds, most=4 * seconds + 300)
            assert load.errors == []
            assert client.get("/healthz").status_code == 200
        assert "a process died" not in (tmp_path / "serve.log").read_text()
    finally:
        site.stop()
    found = {kind: f"{max(seen) / MIB:.0f} MiB" for kind, seen in memory.seen.items()}
    for what in ("upload", "tile", "page", "job", "result", "events", "delete"):
        good = sum(n for (kind, status), n in load.answers.items() if kind == what and status < 400)
        assert good > 0, (what, load.answers)
    assert memory.seen.keys() <= LIMITS.keys()
    for kind, limit in LIMITS.items():
        assert max(memory.seen.get(kind, [0])) < limit, found
    if seconds < 300:
        return  # caches still fill, and the model has just been loaded
    for kind in ("serve", "api", "worker", "analysis"):
        assert memory.growth(kind) < GROWTH_BYTES, (kind, found)
