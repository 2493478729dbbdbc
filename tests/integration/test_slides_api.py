"""Slides over real sockets: uploaded, listed, looked at in every zoom level, damaged, deleted."""

import io
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image
from service_support import Service, running, settings_in

from wsi_pipeline.geometry import Region
from wsi_pipeline.service.access import Scope
from wsi_pipeline.slide import open_slide
from wsi_pipeline.testing import write_pyramid, write_vips_pyramid
from wsi_pipeline.testing.sections import draw_section, write_labelled_jpeg


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("service")
    (folder / "linked").mkdir()
    with running(settings_in(folder, roots=(folder / "linked",))) as started:
        yield started


@pytest.fixture(scope="module")
def client(service: Service) -> Iterator[httpx.Client]:
    with service.client() as opened:
        yield opened


def noise(width: int, height: int, seed: int = 0) -> NDArray[np.uint8]:
    """Blobs of colour with hard edges."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (-(-height // 64), -(-width // 64), 3), np.uint8)
    return np.kron(small, np.ones((64, 64, 1), np.uint8))[:height, :width].astype(np.uint8)


def means(image: NDArray[np.uint8], step: int) -> NDArray[np.float64]:
    """Means of blocks of px, at the far edges of those that are there."""
    rows = np.add.reduceat(image.astype(float), range(0, image.shape[0], step), axis=0)
    sums = np.add.reduceat(rows, range(0, image.shape[1], step), axis=1)
    ones = np.ones(image.shape[:2])
    counts = np.add.reduceat(ones, range(0, image.shape[0], step), axis=0)
    counts = np.add.reduceat(counts, range(0, image.shape[1], step), axis=1)
    return np.asarray(sums / counts[..., None])


def ready(client: httpx.Client, slide_id: str) -> dict[str, Any]:
    deadline = time.monotonic() + 60
    while True:
        slide: dict[str, Any] = client.get(f"/v1/slides/{slide_id}").json()
        if slide["state"] != "checking":
            assert slide["state"] == "ready", slide["problem"]
            return slide
        assert time.monotonic() < deadline, "the slide is still being checked"
        time.sleep(0.05)


def upload(client: httpx.Client, path: Path, name: str | None = None) -> dict[str, Any]:
    answer = client.put("/v1/slides", params={"name": name or path.name}, content=path.read_bytes())
    assert answer.status_code == 201, answer.text
    return ready(client, answer.json()["id"])


def link(client: httpx.Client, path: Path) -> dict[str, Any]:
    answer = client.post("/v1/slides", json={"uri": path.as_uri()})
    assert answer.status_code == 201, answer.text
    return ready(client, answer.json()["id"])


def px(answer: httpx.Response) -> NDArray[np.uint8]:
    assert answer.status_code == 200, answer.text
    image = Image.open(io.BytesIO(answer.content))
    assert answer.headers["content-type"] == f"image/{(image.format or '').lower()}"
    assert image.mode == "RGB"
    return np.asarray(image)


def stored(service: Service, slide: dict[str, Any]) -> Path:
    folder = Path(service.settings.storage_url) / "slides" / str(slide["sha256"])
    (found,) = (path for path in folder.rglob("*") if path.is_file())
    return found


@pytest.fixture(scope="module")
def slide(
    client: httpx.Client, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, NDArray[np.uint8]]:
    """An uploaded slide, and its px."""
    image = noise(1300, 900)
    path = tmp_path_factory.mktemp("slide") / "blobs.tiff"
    write_pyramid(path, image, downsamples=(1, 4), round_up=True)
    return str(upload(client, path)["id"]), image


def test_every_zoom_level_is_the_slide(
    client: httpx.Client, slide: tuple[str, NDArray[np.uint8]]
) -> None:
    """What a viewer puts together from the descriptor alone, against means of the slide's px."""
    slide_id, image = slide
    answer = client.get(f"/v1/slides/{slide_id}.dzi")
    assert answer.headers["content-type"].startswith("application/xml")
    stated = ET.fromstring(answer.content)
    size = next(iter(stated))
    width, height, side = int(size.attrib["Width"]), int(size.attrib["Height"]), 512
    assert (width, height) == (1300, 900)
    assert (stated.attrib["TileSize"], stated.attrib["Overlap"]) == ("512", "0")
    assert stated.attrib["Format"] == "jpeg"
    levels = client.get(f"/v1/slides/{slide_id}/pyramid").json()["zoom_levels"]
    finest = (max(width, height) - 1).bit_length()
    assert [level["level"] for level in levels] == list(range(finest + 1))
    for level in levels:
        step = 2 ** (finest - level["level"])
        shape = -(-width // step), -(-height // step)
        assert (level["width"], level["height"], level["downsample"]) == (*shape, step)
        shown = np.zeros((shape[1], shape[0], 3), np.uint8)
        for column in range(-(-shape[0] // side)):
            for row in range(-(-shape[1] // side)):
                tile = f"/v1/slides/{slide_id}_files/{level['level']}/{column}_{row}"
                exact = px(client.get(f"{tile}.png"))
                part = shown[row * side : (row + 1) * side, column * side : (column + 1) * side]
                assert exact.shape == part.shape
                part[:] = exact
                coded = px(client.get(f"{tile}.jpeg"))
                assert coded.shape == exact.shape
                # JPEG halves the resolution of colour: where all is edges, it is far off.
                assert step > 2 or np.abs(coded.astype(int) - exact).mean() < 6
        expected = means(image, step)
        assert shown.shape == expected.shape
        # Rounded up to three times: in the file's level, an overview, the tile.
        inside = np.s_[: height // step, : width // step]
        assert np.abs(shown - expected)[inside].max(initial=0) <= 1.51
        # Where a px reaches over the edge, parts of it may count as if they were whole.
        assert np.abs(shown - expected).max() < 30


def test_the_pyramid_tells_a_viewer_everything(
    client: httpx.Client, slide: tuple[str, NDArray[np.uint8]]
) -> None:
    told = client.get(f"/v1/slides/{slide[0]}/pyramid").json()
    assert told["dimensions"] == {"width": 1300, "height": 900}
    assert told["mpp"]["x"] == pytest.approx(0.5)
    assert told["magnification"] is None
    assert (told["tile_size"], told["overlap"]) == (512, 0)
    assert told["formats"] == ["jpeg", "png"]
    assert [level["downsample"] for level in told["levels"]] == [1, 4]
    assert told["zoom_levels"][-1] | {"columns": 3, "rows": 2} == told["zoom_levels"][-1]


@pytest.mark.parametrize(
    "tile",
    ["11/3_0", "11/0_2", "12/0_0", "99999999999999999999/0_0", "0/1_0", "-1/0_0", "11/-1_0"],
)
def test_there_is_nothing_outside(
    client: httpx.Client, slide: tuple[str, NDArray[np.uint8]], tile: str
) -> None:
    answer = client.get(f"/v1/slides/{slide[0]}_files/{tile}.jpeg")
    assert answer.status_code == 404
    assert answer.json()["type"] == "/problems/not-found"


@pytest.mark.parametrize(
    "path",
    [
        "_files/11/0_0.gif",
        "_files/11/a_0.jpeg",
        "_files/x/0_0.jpeg",
        "/thumbnail?size=4096",
        "/thumbnail?size=15",
        "/thumbnail?format=tiff",
        "/thumbnail?size=512.5",
    ],
)
def test_what_makes_no_sense_is_422(
    client: httpx.Client, slide: tuple[str, NDArray[np.uint8]], path: str
) -> None:
    answer = client.get(f"/v1/slides/{slide[0]}{path}")
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"


def test_tiles_may_be_kept(client: httpx.Client, slide: tuple[str, NDArray[np.uint8]]) -> None:
    tile = f"/v1/slides/{slide[0]}_files/11/0_0"
    answer = client.get(f"{tile}.jpeg")
    etag = answer.headers["etag"]
    assert answer.headers["cache-control"] == "private, max-age=31536000, immutable"
    for known in (etag, f'"other", {etag}', f"W/{etag}", "*"):
        again = client.get(f"{tile}.jpeg", headers={"If-None-Match": known})
        assert again.status_code == 304
        assert again.content == b""
        assert again.headers["etag"] == etag
    others = [f"{tile}.png", f"/v1/slides/{slide[0]}_files/11/1_0.jpeg"]
    for other in others:
        answer = client.get(other, headers={"If-None-Match": etag})
        assert answer.status_code == 200
        assert answer.headers["etag"] != etag


@pytest.mark.parametrize(
    ("asked", "size"), [("", (512, 354)), ("?size=100", (100, 69)), ("?size=2000", (1300, 900))]
)
def test_thumbnails(
    client: httpx.Client,
    slide: tuple[str, NDArray[np.uint8]],
    asked: str,
    size: tuple[int, int],
) -> None:
    slide_id, image = slide
    shown = px(client.get(f"/v1/slides/{slide_id}/thumbnail{asked}"))
    assert shown.shape == (size[1], size[0], 3)
    expected = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR))
    assert abs(shown.mean() - expected.mean()) < 1
    assert np.corrcoef(shown.ravel(), expected.ravel())[0, 1] > 0.9
    exact = px(client.get(f"/v1/slides/{slide_id}/thumbnail{asked or '?'}&format=png"))
    assert exact.shape == shown.shape


def test_slides_are_listed_searched_and_paged(client: httpx.Client, service: Service) -> None:
    with service.client(service.key("listing")) as mine:
        path = service.settings.data_dir / "any.tiff"
        names = ["Alpha 1.tiff", "alpha 2.tiff", "beta_50%.tiff", "βήτα.tiff"]
        made = []
        for number, name in enumerate(names):
            write_pyramid(path, noise(64, 64, number), downsamples=(1,), tile=64)
            made.append(upload(mine, path, name)["id"])
        bad = mine.put("/v1/slides", params={"name": "broken"}, content=b"no slide").json()["id"]

        def listed(**params: Any) -> tuple[list[str], int]:
            answer = mine.get("/v1/slides", params=params).json()
            return [slide["id"] for slide in answer["slides"]], answer["total"]

        deadline = time.monotonic() + 60
        while listed(state="rejected") != ([bad], 1):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert listed() == ([bad, *reversed(made)], 5)
        assert listed(offset=1, limit=2) == ([made[3], made[2]], 5)
        assert listed(offset=99) == ([], 5)
        assert listed(search="ALPHA") == ([made[1], made[0]], 2)
        assert listed(search="50%") == ([made[2]], 1)
        assert listed(search="_") == ([made[2]], 1)
        assert listed(search="βήτα") == ([made[3]], 1)
        assert listed(state="ready", limit=1) == ([made[3]], 4)
        for params in ({"limit": 0}, {"limit": 201}, {"offset": -1}, {"state": "odd"}):
            assert mine.get("/v1/slides", params=params).status_code == 422
        assert mine.get(f"/v1/slides/{bad}_files/0/0_0.jpeg").status_code == 409
        assert mine.get(f"/v1/slides/{bad}/thumbnail").status_code == 409


def test_wrong_colours_are_corrected_or_rejected(client: httpx.Client, tmp_path: Path) -> None:
    section, path = draw_section(), tmp_path / "a.tiff"
    write_labelled_jpeg(path, section, tag="rgb", stored="YCBCR", downsamples=(1,))
    slide = upload(client, path)
    assert any("corrected: the file's tag says RGB" in text for text in slide["info"]["warnings"])
    shown = px(client.get(f"/v1/slides/{slide['id']}/thumbnail", params={"size": 384}))
    assert np.abs(np.median(shown, axis=(0, 1)) - np.median(section, axis=(0, 1))).max() < 8
    write_pyramid(path, 255 - section, downsamples=(1,))
    answer = client.put("/v1/slides", params={"name": "a.tiff"}, content=path.read_bytes())
    deadline = time.monotonic() + 60
    while (slide := client.get(answer.headers["location"]).json())["state"] == "checking":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert slide["state"] == "rejected"
    assert slide["problem"]["type"].endswith("slide-content")
    assert "as in a negative" in slide["problem"]["detail"]


def test_nobody_else_sees_a_slide(
    service: Service, client: httpx.Client, slide: tuple[str, NDArray[np.uint8]]
) -> None:
    paths = [".dzi", "", "/pyramid", "/thumbnail", "_files/0/0_0.jpeg"]
    with service.client(service.key("elsewhere")) as other, service.client(None) as nobody:
        for path in paths:
            assert other.get(f"/v1/slides/{slide[0]}{path}").status_code == 404
            assert nobody.get(f"/v1/slides/{slide[0]}{path}").status_code == 401
        assert other.delete(f"/v1/slides/{slide[0]}").status_code == 404
    with service.client(service.key(scope=Scope.VIEW)) as viewer:
        for path in paths:
            assert viewer.get(f"/v1/slides/{slide[0]}{path}").status_code == 200
        assert viewer.delete(f"/v1/slides/{slide[0]}").status_code == 403
    assert client.get(f"/v1/slides/{'0' * 32}_files/0/0_0.jpeg").status_code == 404
    assert client.get("/v1/slides/short").status_code == 422


def test_a_deleted_slide_is_gone_with_its_bytes(
    service: Service, client: httpx.Client, tmp_path: Path
) -> None:
    write_pyramid(tmp_path / "a.tiff", noise(200, 200, 7), downsamples=(1,))
    slide = upload(client, tmp_path / "a.tiff")
    address = f"/v1/slides/{slide['id']}"
    assert client.get(f"{address}_files/8/0_0.jpeg").status_code == 200
    assert stored(service, slide).exists()
    assert client.delete(address).status_code == 204
    for path in ("", ".dzi", "/pyramid", "/thumbnail", "_files/8/0_0.jpeg"):
        assert client.get(f"{address}{path}").status_code == 404
    assert client.delete(address).status_code == 404
    assert not list(Path(service.settings.storage_url).rglob(f"*{slide['sha256']}*"))


def test_bytes_stay_while_another_slide_has_them(
    service: Service, client: httpx.Client, tmp_path: Path
) -> None:
    write_pyramid(tmp_path / "a.tiff", noise(200, 200, 8), downsamples=(1,))
    first = upload(client, tmp_path / "a.tiff", "first")
    with service.client(service.key("another")) as other:
        second = upload(other, tmp_path / "a.tiff", "second")
        assert first["id"] != second["id"]
        assert client.delete(f"/v1/slides/{first['id']}").status_code == 204
        assert other.get(f"/v1/slides/{second['id']}_files/8/0_0.png").status_code == 200
        assert other.delete(f"/v1/slides/{second['id']}").status_code == 204
    assert not list(Path(service.settings.storage_url).rglob(f"*{first['sha256']}*"))


def test_a_linked_file_stays_where_it_is(service: Service, client: httpx.Client) -> None:
    path = service.settings.roots[0] / "linked.tiff"
    write_pyramid(path, noise(200, 200, 9), downsamples=(1,))
    slide = link(client, path)
    assert client.get(f"/v1/slides/{slide['id']}_files/8/0_0.png").status_code == 200
    assert client.delete(f"/v1/slides/{slide['id']}").status_code == 204
    assert path.exists()


def test_a_linked_file_that_is_gone_is_410(service: Service, client: httpx.Client) -> None:
    path = service.settings.roots[0] / "vanishing.tiff"
    write_pyramid(path, noise(200, 200, 10), downsamples=(1,))
    slide = link(client, path)
    path.unlink()
    answer = client.get(f"/v1/slides/{slide['id']}_files/8/0_0.png")
    assert answer.status_code == 410
    assert answer.json()["type"] == "/problems/gone"
    assert "vanishing" not in answer.text


def test_a_tile_that_cannot_be_read_is_told(
    service: Service, client: httpx.Client, tmp_path: Path
) -> None:
    """One place of the file is overwritten after it was checked: the rest is still shown."""
    path = tmp_path / "a.tiff"
    image = np.full((2048, 2048, 3), 180, np.uint8)
    write_vips_pyramid(path, image, tile=256)
    slide = upload(client, path)
    file = stored(service, slide)
    with tifffile.TiffFile(file) as tiff:
        page = tiff.pages.first
        at, count = page.dataoffsets[0], page.databytecounts[0]
    whole = file.read_bytes()
    file.write_bytes(whole[:at] + bytes(count) + whole[at + count :])
    address = f"/v1/slides/{slide['id']}"
    for _ in range(2):
        answer = client.get(f"{address}_files/11/0_0.jpeg")
        assert answer.status_code == 422
        assert answer.json()["type"] == "/problems/damaged-slide"
        assert answer.headers["cache-control"] == "no-store"
        assert file.name not in answer.text
    assert px(client.get(f"{address}_files/11/1_0.jpeg")).mean() == pytest.approx(180, abs=3)
    assert px(client.get(f"{address}_files/9/0_0.jpeg")).mean() == pytest.approx(180, abs=3)
    holed = px(client.get(f"{address}/thumbnail?size=2048&format=png"))
    assert (holed[:256, :256] == 128).all()
    assert (holed[256:] > 170).all()
    assert client.get("/healthz").status_code == 200


def test_many_ask_for_the_same_tiles_at_once(
    service: Service, client: httpx.Client, tmp_path: Path
) -> None:
    write_pyramid(tmp_path / "a.tiff", noise(3000, 2000, 3), compression="jpeg")
    slide = upload(client, tmp_path / "a.tiff")
    tiles = [
        f"{level}/{column}_0" for level, columns in ((12, 6), (11, 3)) for column in range(columns)
    ]
    paths = [f"/v1/slides/{slide['id']}_files/{tile}.jpeg" for tile in tiles] * 12

    def get(path: str) -> tuple[str, bytes]:
        with service.client() as own:
            answer = own.get(path)
            assert answer.status_code == 200, answer.text
            return path, answer.content

    with ThreadPoolExecutor(24) as pool:
        seen = set(pool.map(get, paths))
    assert len(seen) == len(tiles)


def test_more_slides_than_are_kept_open(tmp_path: Path) -> None:
    with running(settings_in(tmp_path, open_slides=2)) as service, service.client() as client:
        slides = []
        for number in range(5):
            path = tmp_path / "a.tiff"
            # Luminance and neutral colour differences, as this writer takes JPEG.
            image = np.full((300, 300, 3), 40 + 40 * number, np.uint8)
            write_pyramid(path, image, compression="jpeg")
            slides.append(upload(client, path)["id"])

        def get(index: int) -> None:
            number = (index * 7) % 5
            with service.client() as own:
                shown = px(own.get(f"/v1/slides/{slides[number]}_files/{index % 10}/0_0.png"))
            assert shown.mean() == pytest.approx(40 + 40 * number, abs=8)

        with ThreadPoolExecutor(10) as pool:
            list(pool.map(get, range(100)))


def test_others_are_served_while_an_overview_is_made(
    service: Service, client: httpx.Client, slide: tuple[str, NDArray[np.uint8]], tmp_path: Path
) -> None:
    """A slide without coarse levels is read whole once; nobody waits for that but who asked."""
    path = tmp_path / "flat.tiff"
    write_pyramid(path, noise(9000, 8000, 4), downsamples=(1,), compression="jpeg", tile=256)
    flat = upload(client, path)["id"]
    with ThreadPoolExecutor(12) as pool:

        def get(level: int) -> httpx.Response:
            with service.client() as own:
                return own.get(f"/v1/slides/{flat}_files/{level}/0_0.jpeg")

        waiting = [pool.submit(get, level) for level in range(11) for _ in range(2)]
        assert client.get(f"/v1/slides/{slide[0]}_files/9/0_0.jpeg").status_code == 200
        assert client.get("/healthz").status_code == 200
        assert not all(one.done() for one in waiting), "these waited for the overview, too"
        assert [one.result().status_code for one in waiting] == [200] * 22


@pytest.mark.parametrize("name", ["cmu-1-small-region.svs", "boxes.tiff", "small.svs"])
def test_real_slides(client: httpx.Client, data: Path, name: str) -> None:
    path = data / "slides" / name
    slide = upload(client, path)
    told = client.get(f"/v1/slides/{slide['id']}/pyramid").json()
    reader = open_slide(path)
    try:
        size = reader.info.size
        assert told["dimensions"] == {"width": size.width, "height": size.height}
        finest = told["zoom_levels"][-1]
        shown = px(client.get(f"/v1/slides/{slide['id']}_files/{finest['level']}/0_0.png"))
        width, height = min(512, size.width), min(512, size.height)
        assert np.array_equal(shown, reader.read(Region(0, 0, 0, width, height)))
    finally:
        reader.close()
    for level in told["zoom_levels"]:
        for column in range(level["columns"]):
            tile = f"/v1/slides/{slide['id']}_files/{level['level']}/{column}_0.jpeg"
            assert client.get(tile).status_code == 200
    assert client.get(f"/v1/slides/{slide['id']}/thumbnail").status_code == 200
