"""What the markers of a JPEG stream say of its colours, by libjpeg's rules."""

import io

import imagecodecs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from wsi_pipeline.slide.jpeg_header import JpegHeader, jpeg_size, read_jpeg_header

PICTURE = np.random.default_rng(0).integers(0, 255, (32, 48, 3), np.uint8)


@given(st.integers(1, 900), st.integers(1, 900), st.booleans())
def test_a_jpeg_says_its_size(width: int, height: int, progressive: bool) -> None:
    data = io.BytesIO()
    Image.new("RGB", (width, height)).save(data, "jpeg", progressive=progressive)
    assert jpeg_size(data.getvalue()) == (width, height)


@given(st.binary(max_size=60))
def test_what_is_no_jpeg_has_no_size(noise: bytes) -> None:
    assert jpeg_size(b"\xff\xd8\xff\xda" + noise) is None
    read_jpeg_header(io.BytesIO(b"\xff\xd8" + noise))  # whatever it says, it does not fail


def test_a_stream_says_what_its_encoder_did() -> None:
    for stored, expected in (("RGB", "RGB"), ("YCBCR", "YCBCR")):
        data = imagecodecs.jpeg8_encode(PICTURE, colorspace="RGB", outcolorspace=stored)
        header = read_jpeg_header(io.BytesIO(bytes(data)))
        assert header is not None
        assert header.size == (48, 32)
        assert header.encoding is not None
        assert header.encoding[0] == expected


EVEN, HALVED = ((1, 1),) * 3, ((2, 2), (1, 1), (1, 1))


@pytest.mark.parametrize(
    ("ids", "sampling", "jfif", "adobe", "expected"),
    [
        ((1, 2, 3), EVEN, True, None, ("YCBCR", "JFIF marker")),
        ((1, 2, 3), EVEN, True, 0, ("YCBCR", "JFIF marker")),
        ((1, 2, 3), EVEN, False, 0, ("RGB", "Adobe marker")),
        ((82, 71, 66), EVEN, False, 1, ("YCBCR", "Adobe marker")),
        ((0, 1, 2), HALVED, False, None, ("YCBCR", "subsampled components")),
        ((1, 2, 3), EVEN, False, None, ("YCBCR", "component identifiers")),
        ((82, 71, 66), EVEN, False, None, ("RGB", "component identifiers")),
        ((0, 1, 2), EVEN, False, None, None),
        ((1,), ((1, 1),), True, None, None),
    ],
)
def test_markers_say_what_components_are(
    ids: tuple[int, ...],
    sampling: tuple[tuple[int, int], ...],
    jfif: bool,
    adobe: int | None,
    expected: tuple[str, str] | None,
) -> None:
    header = JpegHeader(size=(8, 8), ids=ids, sampling=sampling, jfif=jfif, adobe=adobe)
    assert header.encoding == expected
