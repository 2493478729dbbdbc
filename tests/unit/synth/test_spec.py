"""Settings: what is refused, and how texts are read."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsi_pipeline.errors import UsageError
from wsi_pipeline.geometry import Region, Size
from wsi_pipeline.synth import SynthSpec, parse_size, parse_tumour


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"size": Size(63, 100)}, "64"),
        ({"size": Size(500_000, 100)}, "400,000"),
        ({"seed": -1}, "--seed"),
        ({"stain": "z"}, "choose a, b, c"),
        ({"format": "png"}, "tiff or svs-like"),
        ({"mpp": float("nan")}, "--mpp"),
        ({"tile": 300}, "--tile"),
        ({"quality": 0}, "--quality"),
        ({"levels": 0}, "--levels"),
        ({"levels": 40}, "--levels"),
        ({"tumour": 1.5}, "share"),
        ({"tissue": 0.0}, "share"),
        ({"folds": -1}, "--folds"),
        ({"tumour": (Region(0, 19_990, 0, 11, 10),)}, "move it inside"),
        ({"tumour": (Region(1, 0, 0, 11, 10),)}, "move it inside"),
        ({"tumour": (Region(0, 19_900, 0, 10, 10),), "padding": True}, "scanned"),
    ],
)
def test_nonsense_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        SynthSpec(**changes)


def test_large_slides_have_eight_levels() -> None:
    sizes = SynthSpec(Size(62_000, 54_000)).level_sizes
    assert len(sizes) == 8
    assert (sizes[-1].width, sizes[-1].height) == (484, 421)


@given(st.integers(64, 100_000), st.integers(64, 100_000))
def test_levels_halve(width: int, height: int) -> None:
    sizes = SynthSpec(Size(width, height)).level_sizes
    assert [(s.width, s.height) for s in sizes] == [
        (width >> n, height >> n) for n in range(len(sizes))
    ]


@pytest.mark.parametrize("text", ["20000x18000", "20,000 × 18,000", "20_000X18000"])
def test_sizes_are_read(text: str) -> None:
    assert parse_size(text) == Size(20_000, 18_000)


@pytest.mark.parametrize("text", ["", "20000", "axb", "1x2x3", "0x5"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="20000x18000"):
        parse_size(text)


def test_tumours_are_read() -> None:
    assert parse_tumour(["none"]) == 0.0
    assert parse_tumour(["0.25"]) == 0.25
    assert parse_tumour(["25%"]) == 0.25
    one, two = Region(0, 1, 2, 3, 4), Region(0, 5, 6, 7, 8)
    assert parse_tumour(["rect:1,2,3,4"]) == (one,)
    assert parse_tumour(["rect:1,2,3,4; rect:5,6,7,8"]) == (one, two)
    assert parse_tumour(["rect:1,2,3,4", "rect:5,6,7,8"]) == (one, two)


@pytest.mark.parametrize(
    "texts",
    [["much"], ["0.1", "0.2"], ["rect:1,2,3"], ["rect:1,2,3,0"], ["rect:1,2,3,4", "0.1"], ["2"]],
)
def test_what_is_no_tumour_is_refused(texts: list[str]) -> None:
    with pytest.raises(UsageError, match="--tumour"):
        parse_tumour(texts)
