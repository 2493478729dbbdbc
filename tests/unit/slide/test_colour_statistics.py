"""Which pictures cannot be bright-field slides, and above all which can."""

from collections.abc import Callable
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from wsi_pipeline.slide.colour_statistics import (
    clearly_better,
    impossible_colours,
    measure,
    ycbcr_to_rgb,
)
from wsi_pipeline.synth.stains import STAINS, Stain
from wsi_pipeline.testing.sections import EOSIN, HAEMATOXYLIN, Density, draw_section
from wsi_pipeline.testing.slides import Pixels

#: Optical densities of R, G and B as in Ruifrok and Johnston (2001), and of what looks like them.
DAB = (0.27, 0.57, 0.78)
METHYL_GREEN, SCHIFF = (0.98, 0.14, 0.13), (0.17, 0.97, 0.15)
CONGO_RED, SILVER, GIEMSA = (0.10, 0.75, 0.65), (0.5, 0.6, 0.65), (0.83, 0.51, 0.20)


def as_raw_ycbcr(rgb: Pixels) -> Pixels:
    """What a decoder shows that takes the JPEG's Y, Cb and Cr for R, G and B."""
    return np.asarray(Image.fromarray(rgb).convert("YCbCr"))


def as_converted_twice(rgb: Pixels) -> Pixels:
    """What a decoder shows that takes R, G and B for Y, Cb and Cr."""
    return ycbcr_to_rgb(rgb)


def padded(rgb: Pixels) -> Pixels:
    return np.pad(rgb, ((200, 100), (50, 200), (0, 0)))


@pytest.mark.parametrize(
    ("stains", "glass"),
    [
        ((HAEMATOXYLIN, EOSIN), (246, 246, 243)),
        ((HAEMATOXYLIN, EOSIN), (225, 225, 210)),
        ((HAEMATOXYLIN, EOSIN), (240, 235, 215)),
        ((HAEMATOXYLIN, EOSIN), (225, 232, 250)),
        ((HAEMATOXYLIN, EOSIN), (248, 232, 240)),
        ((HAEMATOXYLIN, EOSIN), (196, 198, 192)),
        ((HAEMATOXYLIN, EOSIN), (255, 255, 255)),
        ((HAEMATOXYLIN, DAB), (243, 243, 241)),
        ((DAB, DAB), (243, 243, 241)),
        ((HAEMATOXYLIN, SCHIFF), (243, 243, 241)),
        ((METHYL_GREEN, CONGO_RED), (243, 243, 241)),
        ((SILVER, SILVER), (225, 225, 210)),
        ((GIEMSA, EOSIN), (225, 232, 250)),
    ],
)
def test_every_stain_and_glass_is_possible(
    stains: tuple[Density, Density], glass: tuple[int, int, int]
) -> None:
    section = draw_section(stains=stains, glass=glass)
    tissue_alone = draw_section(stains=stains, glass=glass, cover=1)
    for picture in (section, tissue_alone, padded(tissue_alone)):
        assert impossible_colours(picture) == ""
        assert impossible_colours(picture[..., ::-1]) == "", "exchanged channels prove nothing"


@pytest.mark.parametrize("stain", STAINS.values(), ids=STAINS)
def test_every_synthetic_stain_is_possible(stain: Stain) -> None:
    # They state natural logarithms.
    nuclei, rest = (np.array(density) / np.log(10) for density in (stain.haematoxylin, stain.eosin))
    glass = np.array(stain.glass).astype(int)
    for cover in (0.3, 1):
        picture = draw_section(
            stains=((*nuclei,), (*rest,)), glass=(glass[0], glass[1], glass[2]), cover=cover
        )
        assert impossible_colours(picture) == ""


@pytest.mark.parametrize("ink", [(20, 20, 200), (10, 120, 40), (15, 15, 15), (200, 20, 30)])
def test_ink_is_possible(ink: tuple[int, int, int]) -> None:
    section = draw_section()
    section[40:160] = ink
    assert impossible_colours(section) == ""


@pytest.mark.parametrize(
    "picture",
    [
        np.full((200, 200, 3), (160, 32, 240), np.uint8),
        np.full((200, 200, 3), 255, np.uint8),
        np.zeros((200, 200, 3), np.uint8),
        np.random.default_rng(0).integers(0, 255, (200, 200, 3), np.uint8),
        np.full((20, 20, 3), (240, 128, 128), np.uint8),
        np.empty((0, 3), np.uint8),
    ],
    ids=["purple", "white", "black", "noise", "tiny", "nothing"],
)
def test_what_says_nothing_is_possible(picture: Pixels) -> None:
    assert impossible_colours(picture) == ""


@pytest.mark.parametrize(
    ("stains", "cover", "glass"),
    [
        ((HAEMATOXYLIN, EOSIN), 0.1, (246, 246, 243)),
        ((HAEMATOXYLIN, EOSIN), 0.4, (225, 225, 210)),
        ((HAEMATOXYLIN, EOSIN), 0.6, (240, 235, 215)),
        ((HAEMATOXYLIN, DAB), 0.4, (246, 246, 243)),
    ],
)
def test_wrong_labels_are_impossible(
    stains: tuple[Density, Density], cover: float, glass: tuple[int, int, int]
) -> None:
    section = draw_section(stains=stains, glass=glass, cover=cover)
    assert "YCbCr" in impossible_colours(as_raw_ycbcr(section))
    assert "YCbCr" in impossible_colours(as_raw_ycbcr(padded(section)))
    assert "no glass has" in impossible_colours(as_converted_twice(section))
    assert "no glass has" in impossible_colours(as_raw_ycbcr(section)[..., ::-1])


@pytest.mark.parametrize("cover", [0.1, 0.4])
@pytest.mark.parametrize("glass", [(246, 246, 243), (200, 202, 198)])
def test_a_negative_is_impossible(cover: float, glass: tuple[int, int, int]) -> None:
    assert "negative" in impossible_colours(255 - draw_section(cover=cover, glass=glass))


@pytest.mark.parametrize("misread", [as_raw_ycbcr, as_converted_twice])
def test_of_two_readings_of_tissue_alone_the_true_one_is_better(
    data: Path, misread: Callable[[Pixels], Pixels]
) -> None:
    folders = ("lymph-node/tumour", "pcam/tumour", "pcam/normal", "colorectal5/AC")
    seen = 0
    for folder in folders:
        for file in sorted(
            (data / "patches" / folder).glob("image*.jpg" if "colorectal" in folder else "*.png")
        )[:30]:
            patch = np.asarray(Image.open(file).convert("RGB"))
            true, wrong = measure(patch), measure(misread(patch))
            assert impossible_colours(patch) == "", file
            assert clearly_better(true, wrong), file
            assert not clearly_better(wrong, true), file
            seen += 1
    assert seen > 100


def test_conversion_is_libjpegs_to_the_bit() -> None:
    values = np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8)
    data = imagecodecs.jpeg8_encode(values, colorspace="RGB", outcolorspace="RGB", level=100)
    raw = imagecodecs.jpeg8_decode(data, colorspace="RGB", outcolorspace="RGB")
    converted = imagecodecs.jpeg8_decode(data, colorspace="YCBCR", outcolorspace="RGB")
    assert np.array_equal(ycbcr_to_rgb(raw), converted)
