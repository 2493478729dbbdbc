"""Blur is told by how detail falls off, whatever the tissue and however strong its structure."""

import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from wsi_pipeline.geometry import Region
from wsi_pipeline.quality.focus import BLOCK_PX, block_energies, measure_focus
from wsi_pipeline.quality.view import Source
from wsi_pipeline.testing import ArraySlide

SIDE = 512
SOURCE = Source(0, (1, 1), (1.0, 1.0))
EVERYWHERE = np.ones((SIDE // BLOCK_PX, SIDE // BLOCK_PX), np.bool_)


def texture(contrast: float, *, seed: int = 1) -> NDArray[np.uint8]:
    """Detail at every scale, as of tissue (1/f), with a camera's noise: ``(512, 512, 3)``."""
    rng = np.random.default_rng(seed)
    fy, fx = np.fft.fftfreq(SIDE)[:, None], np.fft.fftfreq(SIDE)[None, :]
    waves = np.fft.fft2(rng.normal(size=(SIDE, SIDE))) / np.maximum(np.hypot(fy, fx), 1 / SIDE)
    field = np.fft.ifft2(waves).real
    grey = 150 + contrast * field / field.std()
    return np.repeat(grey.clip(0, 255).astype(np.uint8)[..., None], 3, axis=2)


def through_jpeg(image: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "JPEG", quality=quality)
    return np.asarray(Image.open(stream))


def blurred(image: NDArray[np.uint8], px: float) -> NDArray[np.uint8]:
    return np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(px)))


@pytest.mark.parametrize("contrast", [12.0, 40.0])
@pytest.mark.parametrize("quality", [40, 90])
def test_blur_is_found_at_every_contrast(contrast: float, quality: int) -> None:
    image = texture(contrast)
    sharp = measure_focus(ArraySlide([through_jpeg(image, quality)]), SOURCE, EVERYWHERE, threads=1)
    assert not sharp.blurred.any()
    half = image.copy()
    half[:, 256:] = blurred(image, 2.0)[:, 256:]
    found = measure_focus(ArraySlide([through_jpeg(half, quality)]), SOURCE, EVERYWHERE, threads=1)
    assert found.blurred[:, 9:].mean() > 0.9
    assert not found.blurred[:, :7].any()


def test_blur_that_leaves_only_the_coarsest_structure_is_found() -> None:
    half = texture(20.0)
    half[:, 256:] = blurred(texture(20.0), 9.0)[:, 256:]
    found = measure_focus(ArraySlide([through_jpeg(half, 80)]), SOURCE, EVERYWHERE, threads=1)
    assert found.blurred[:, 9:].mean() > 0.9
    assert not found.blurred[:, :7].any()


def test_one_block_alone_is_judged() -> None:
    alone = np.zeros_like(EVERYWHERE)
    alone[3, 5] = True
    found = measure_focus(ArraySlide([texture(40)]), SOURCE, alone, threads=1)
    assert np.isfinite(found.ratio[3, 5])


def test_what_has_no_structure_is_not_judged() -> None:
    flat = np.full((SIDE, SIDE, 3), 200, np.uint8)
    found = measure_focus(ArraySlide([flat]), SOURCE, EVERYWHERE, threads=1)
    assert not found.blurred.any()
    assert found.median is None


def test_a_blurred_slide_is_a_wide_area() -> None:
    image = blurred(texture(40), 3.0)
    found = measure_focus(ArraySlide([image]), SOURCE, EVERYWHERE, threads=2)
    assert found.wide.mean() > 0.9


def test_only_wanted_blocks_are_read_and_the_unreadable_counted() -> None:
    slide = ArraySlide([texture(40)], unreadable=[Region(0, 0, 0, 10, 10)])
    wanted = np.zeros_like(EVERYWHERE)
    wanted[2, 3:5] = True
    measure_focus(slide, SOURCE, wanted, threads=1)
    assert slide.reads == [Region(0, 3 * BLOCK_PX, 2 * BLOCK_PX, 2 * BLOCK_PX, BLOCK_PX)]
    assert measure_focus(slide, SOURCE, EVERYWHERE, threads=1).unreadable == 1


def test_energies_are_those_of_the_definition() -> None:
    grey = np.random.default_rng(2).integers(0, 255, (BLOCK_PX, 2 * BLOCK_PX), np.uint8)
    values = grey.astype(float)
    across = values[1:-1, 2:] + values[1:-1, :-2] - 2 * values[1:-1, 1:-1]
    down = values[2:, 1:-1] + values[:-2, 1:-1] - 2 * values[1:-1, 1:-1]
    full = np.pad(across**2 + down**2, 1, mode="edge") / 2
    expected = np.log2(full.reshape(BLOCK_PX, 2, BLOCK_PX).mean(axis=(0, 2)) + 0.01)
    np.testing.assert_allclose(block_energies(grey)[0, 0], expected, rtol=1e-4)
