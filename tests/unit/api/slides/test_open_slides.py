"""Slides stay open within a bound, are never closed under a reader, and recover from damage."""

import os
import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from api.slides.links import Links
from api.slides.open_slides import OpenSlides
from api.slides.region_picture import Area, read_area
from wsi_pipeline.errors import DamagedSlideError, SlideError
from wsi_pipeline.geometry import Size
from wsi_pipeline.service.slides import Slide, SlideState
from wsi_pipeline.slide import open_slide
from wsi_pipeline.storage import Storage, open_storage
from wsi_pipeline.testing import write_pyramid

SIZE = Size(300, 260)
#: Without roots: a link may lead nowhere.
NO_LINKS = Links((), (), Path("/nowhere"))
PLACE = Area(10, 20, 1, 1, Size(64, 64))


class Shelf:
    """Stored slides, each of one colour."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.storage: Storage = open_storage(str(folder / "store"))
        self.slides: list[Slide] = []

    def path(self, number: int) -> Path:
        return self.storage.local_path(f"slides/{number}/slide.tiff", self.folder / "cache")

    def add(self, count: int) -> None:
        for number in range(count):
            image = np.full((SIZE.height, SIZE.width, 3), 10 * number, np.uint8)
            image[::7] += 3
            file = self.folder / f"{number}.tiff"
            write_pyramid(file, image, compression="jpeg")
            self.storage.put_file(f"slides/{number}/slide.tiff", file, move=True)
            self.slides.append(self.slide(number))

    def slide(self, number: int, location: str | None = None) -> Slide:
        reader = open_slide(self.path(number))
        info = reader.info.to_json()
        reader.close()
        return Slide(
            id=f"{number:032x}",
            workspace_id="w",
            name="any",
            state=SlideState.READY,
            problem=None,
            source=None,
            location=location or f"slides/{number}/slide.tiff",
            size_bytes=1,
            sha256=f"{number:064x}",
            info=info,
            created_at=0.0,
            created_by=None,
        )

    def open_files(self) -> int:
        """Files of the shelf this process holds open."""
        found = 0
        for link in Path("/proc/self/fd").iterdir():
            try:
                found += str(link.readlink()).startswith(str(self.folder))
            except FileNotFoundError:
                continue
        return found


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    made = Shelf(tmp_path)
    made.add(5)
    return made


@pytest.fixture
def slides(shelf: Shelf) -> Iterator[OpenSlides]:
    opened = OpenSlides(shelf.storage, 2, shelf.folder / "cache", NO_LINKS)
    yield opened
    opened.close()


def colour(slides: OpenSlides, slide: Slide) -> int:
    with slides.borrow(slide) as opened:
        return int(np.median(read_area(opened.rasters, PLACE)))


def damage(path: Path) -> bytes:
    """Overwrite the coded px, not the directory; returns what was there."""
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b"\xff\xda", b"\xff\xd9"))
    return whole


def test_a_slide_stays_open_between_requests(shelf: Shelf, slides: OpenSlides) -> None:
    with slides.borrow(shelf.slides[1]) as first:
        pass
    with slides.borrow(shelf.slides[1]) as second:
        assert second is first
    assert colour(slides, shelf.slides[1]) == pytest.approx(10, abs=3)


def test_only_so_many_stay_open(shelf: Shelf, slides: OpenSlides) -> None:
    before = shelf.open_files()
    with slides.borrow(shelf.slides[0]):
        for_one = shelf.open_files() - before
    assert for_one > 0
    for slide in shelf.slides:
        colour(slides, slide)
    assert shelf.open_files() - before <= 2 * for_one
    assert [slides.is_prepared(slide, PLACE) for slide in shelf.slides] == [False] * 3 + [True] * 2
    slides.close()
    assert shelf.open_files() == before


def test_the_one_unused_longest_is_closed(shelf: Shelf, slides: OpenSlides) -> None:
    for number in (0, 1, 0, 2):
        colour(slides, shelf.slides[number])
    open_now = [slides.is_prepared(slide, PLACE) for slide in shelf.slides]
    assert open_now == [True, False, True, False, False]


def test_a_slide_in_use_is_not_closed(shelf: Shelf, slides: OpenSlides) -> None:
    with slides.borrow(shelf.slides[0]) as held:
        for slide in shelf.slides[1:]:
            colour(slides, slide)
        slides.forget(shelf.slides[0])
        slides.close()
        # Another part than any that is cached.
        area = Area(200, 200, 1, 1, Size(60, 50))
        assert np.median(read_area(held.rasters, area)) == pytest.approx(0, abs=3)
    assert shelf.open_files() == 0


def test_many_readers_of_many_slides(shelf: Shelf, slides: OpenSlides) -> None:
    """More slides than may be open, all in use at once: nobody meets a closed or wrong one."""

    def read(seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(60):
            number = chance.randrange(5)
            x, y = chance.randrange(200), chance.randrange(180)
            with slides.borrow(shelf.slides[number]) as opened:
                px = read_area(opened.rasters, Area(x, y, 1, 1, Size(64, 64)))
            assert np.median(px) == pytest.approx(10 * number, abs=3)
            if chance.random() < 0.1:
                slides.forget(shelf.slides[number])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(read, range(8)))
    slides.close()
    assert shelf.open_files() == 0


def test_a_slide_is_opened_once_for_all_who_wait(shelf: Shelf, slides: OpenSlides) -> None:
    start = threading.Barrier(8)

    def borrow(_: int) -> int:
        start.wait()
        with slides.borrow(shelf.slides[3]) as opened:
            start.wait()
            return id(opened)

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(borrow, range(8)))) == 1


def test_a_damaged_slide_is_opened_again(shelf: Shelf, slides: OpenSlides) -> None:
    slide = shelf.slides[2]
    whole = damage(shelf.path(2))
    with pytest.raises(DamagedSlideError), slides.borrow(slide) as broken:
        read_area(broken.rasters, PLACE)
    assert not slides.is_prepared(slide, PLACE)
    shelf.path(2).write_bytes(whole)
    assert colour(slides, slide) == pytest.approx(20, abs=3)


def test_others_go_on_with_a_slide_somebody_failed_on(shelf: Shelf, slides: OpenSlides) -> None:
    slide = shelf.slides[2]
    with slides.borrow(slide) as mine:
        with pytest.raises(DamagedSlideError), slides.borrow(slide):
            raise DamagedSlideError("slide", "made up")
        assert np.median(read_area(mine.rasters, PLACE)) == pytest.approx(20, abs=3)
        with slides.borrow(slide) as fresh:
            assert fresh is not mine
    assert shelf.open_files() > 0
    slides.close()
    assert shelf.open_files() == 0


def test_an_opening_that_fails_reaches_everybody_and_is_tried_again(
    shelf: Shelf, slides: OpenSlides
) -> None:
    slide = shelf.slides[4]
    whole = shelf.path(4).read_bytes()
    shelf.path(4).write_bytes(b"no slide" * 100)

    def fail(_: int) -> str:
        with pytest.raises(SlideError) as failed, slides.borrow(slide):
            pass
        return str(failed.value)

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(fail, range(8)))) == 1
    shelf.path(4).write_bytes(whole)
    assert colour(slides, slide) == pytest.approx(40, abs=3)


def test_a_linked_file_is_read_where_it_lies(shelf: Shelf, slides: OpenSlides) -> None:
    linked = shelf.slide(1, location=f"file:{shelf.path(1)}")
    assert colour(slides, linked) == pytest.approx(10, abs=3)
    shelf.path(1).unlink()
    slides.forget(linked)
    with pytest.raises(FileNotFoundError), slides.borrow(linked):
        pass


def test_a_linked_file_that_became_a_link_is_not_followed(shelf: Shelf, slides: OpenSlides) -> None:
    """Of the same size, too: there is nothing else to tell it by."""
    linked = shelf.slide(1, location=f"file:{shelf.path(1)}")
    assert colour(slides, linked) == pytest.approx(10, abs=3)
    slides.forget(linked)
    path = shelf.path(1)
    path.unlink()
    path.symlink_to(shelf.path(2))
    with pytest.raises(FileNotFoundError, match="gone"), slides.borrow(linked):
        pass


def test_a_linked_file_that_became_another_slide_is_refused(
    shelf: Shelf, slides: OpenSlides
) -> None:
    linked = shelf.slide(1, location=f"file:{shelf.path(1)}")
    write_pyramid(shelf.path(1), np.zeros((100, 100, 3), np.uint8))
    with pytest.raises(DamagedSlideError, match="another file than the one"), slides.borrow(linked):
        pass


def test_overviews_are_made_once_and_only_where_wanted(shelf: Shelf, tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (900, 1200, 3), np.uint8)
    write_pyramid(tmp_path / "flat.tiff", image, downsamples=(1,))
    shelf.storage.put_file("slides/7/slide.tiff", tmp_path / "flat.tiff")
    slides, slide = OpenSlides(shelf.storage, 2, tmp_path, NO_LINKS), shelf.slide(7)
    whole, part = Area.whole(Size(1200, 900), 100), Area(0, 0, 2, 2, Size(64, 64))
    slides.prepare(slide, part)
    assert slides.is_prepared(slide, part)
    assert not slides.is_prepared(slide, whole)
    slides.prepare(slide, whole)
    assert slides.is_prepared(slide, whole)
    with slides.borrow(slide) as opened:
        assert len(opened.rasters) == 2
    slides.close()


def test_decoded_tiles_of_all_slides_share_one_bound(shelf: Shelf, slides: OpenSlides) -> None:
    """Opened again, a slide gets no px that are left of another one."""
    for _ in range(3):
        for number, slide in enumerate(shelf.slides):
            assert colour(slides, slide) == pytest.approx(10 * number, abs=3)


def test_fds_are_not_leaked_by_failures(shelf: Shelf, slides: OpenSlides) -> None:
    damage(shelf.path(0))
    for _ in range(5):
        with pytest.raises(DamagedSlideError), slides.borrow(shelf.slides[0]) as opened:
            read_area(opened.rasters, PLACE)
    assert shelf.open_files() == 0
    assert os.path.exists(shelf.path(0))  # noqa: PTH110 - closed, not removed
