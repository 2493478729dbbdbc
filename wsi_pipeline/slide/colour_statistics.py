"""What sampled px tell of a picture's colours: whether they can be those of a bright-field slide.

Two facts of transmitted light are used. Glass is the lightest thing and nearly grey. A stain
absorbs (Beer and Lambert), so that where there is more of it all three channels are darker: they
vary together, along the grey axis. Luma and chroma taken for red, green and blue do not.
"""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
_Number = TypeVar("_Number", np.uint8, np.int16)

#: Luminance (of 1) and difference between channels (of 255) within which a px may be glass. Wide:
#: old scanners' glass is (225, 225, 210), dim lamps give 0.75.
_GLASS_LUMINANCE, _GLASS_CHROMA = 0.7, 50
#: No channel above this: scanner padding, as in ``tissue.rule``.
_PADDING = 10
#: Fewer px say nothing.
LEAST_PX = 1024
#: Share of px on glass from which a picture shows its background.
_BACKGROUND = 0.05
#: Share of px on glass below which there is none: noise and single specks.
_NO_GLASS = 0.005
#: How much more a reading's channels vary together before it is the better one. Between the true
#: and a wrong reading there are at least 0.19 in 2,057 patches stained with haematoxylin and eosin
#: (CAMELYON16, PatchCamelyon, two collections of colorectal tissue), whichever way one misreads.
_BETTER = 0.1
#: Share of the variance along the grey axis. In those patches it is 0.76 or more (blood smears:
#: 0.63); of their raw YCbCr it is at most 0.50; of RGB decoded as YCbCr, 0.19 to 0.71.
_TOGETHER, _HARDLY_TOGETHER, _APART = 0.6, 0.75, 0.5
#: A background that fills this share of the px within this distance (of 255) per channel, with
#: at least this difference between its channels. Grey glass of (240, 240, 240) misread either way
#: has differences of 112 and more; tinted glass has less than 50.
_PEAK, _PEAK_WIDTH, _PEAK_CHROMA, _PEAK_LIGHT = 0.15, 8, 90, 200
#: Share of px lighter than it in all channels below which a background is the lightest there is.
_NO_PALER = 0.01
#: Luminance up to which a grey background is a dark one (that of dim glass in a negative), and
#: the share of the px near its colour from which it is the background.
_DARK, _MOSTLY_DARK = 0.25, 0.3
#: Share of these px that may have exactly one colour. Padding has one, but for what JPEG adds; the
#: dark of a negative has the noise of a camera.
_NOISELESS = 0.5
#: How many times more common a wrong background is than px that may be glass by chance.
_MORE = 5

# Rec. ITU-T T.871 (JFIF) in fixed point of 16 bits, rounded as libjpeg does, so that both agree.
_BITS = 16
_C = np.arange(256, dtype=np.int64) - 128
_HALF = 1 << (_BITS - 1)
_CR_RED = ((91881 * _C + _HALF) >> _BITS).astype(np.int16)
_CB_BLUE = ((116130 * _C + _HALF) >> _BITS).astype(np.int16)
_CR_GREEN = (-46802 * _C).astype(np.int32)
_CB_GREEN = (-22554 * _C + _HALF).astype(np.int32)


def ycbcr_to_rgb(raw: Pixels) -> Pixels:
    """RGB of ``(…, 3)`` raw Y, Cb and Cr, to the bit as libjpeg converts them."""
    luma = raw[..., 0].astype(np.int16)
    blue_part, red_part = raw[..., 1], raw[..., 2]
    green = ((_CB_GREEN[blue_part] + _CR_GREEN[red_part]) >> _BITS).astype(np.int16)
    out = np.stack([luma + _CR_RED[red_part], luma + green, luma + _CB_BLUE[blue_part]], axis=-1)
    return out.clip(0, 255).astype(np.uint8)


@dataclass(frozen=True, slots=True)
class ColourStatistics:
    """Px of one picture under one reading.

    Attributes:
        px: How many were looked at, padding aside.
        glass: Share of them that may be glass.
        together: Share of their variance along the grey axis; NaN where hardly anything varies.
    """

    px: int
    glass: float
    together: float

    @property
    def shows_background(self) -> bool:
        """Whether so much may be glass that this reading cannot be quite wrong."""
        return self.glass >= _BACKGROUND


def measure(rgb: Pixels) -> ColourStatistics:
    """Statistics of ``(…, 3)`` px taken for RGB."""
    values = _scanned(rgb)
    if len(values) < LEAST_PX:
        return ColourStatistics(len(values), 0.0, float("nan"))
    light = _luminance(values) >= _GLASS_LUMINANCE
    glass = float((light & (_spread(values) <= _GLASS_CHROMA)).mean())
    red, green, blue = (channel - channel.mean(dtype=np.float64) for channel in values.T)
    whole = float(red @ red + green @ green + blue @ blue) / len(values)
    along = red + green + blue
    grey = float(along @ along) / len(values) / 3
    return ColourStatistics(len(values), glass, grey / whole if whole > 1 else float("nan"))


def clearly_better(one: ColourStatistics, other: ColourStatistics) -> bool:
    """Whether the first of two readings of the same px is a bright-field slide and the other not.

    By glass, where only one of them shows it; else by how far the channels vary together.
    """
    if one.shows_background and one.glass > _MORE * other.glass:
        return not one.together < other.together
    if other.shows_background and other.glass > _MORE * one.glass:
        return False
    return one.together > other.together + _BETTER


def impossible_colours(rgb: Pixels) -> str:
    """Why px cannot be those of a bright-field slide; empty where they can.

    A picture is refused only for what no stain and no lamp does. Channels that are exchanged are
    no such thing: glass stays grey, and there are stains of every colour.

    Args:
        rgb: Sampled px, ``(…, 3)``.
    """
    values = _scanned(rgb)
    shown = measure(rgb)
    if shown.px < LEAST_PX or np.isnan(shown.together):
        return ""
    if shown.together < _APART and shown.glass < _NO_GLASS:
        converted = measure(ycbcr_to_rgb(values.astype(np.uint8)))
        if clearly_better(converted, shown) and converted.shows_background:
            return "its pixels are YCbCr (luma and chroma) and labelled as RGB"
    spread = _spread(values)
    dark = values[(_luminance(values) <= _DARK) & (spread <= _GLASS_CHROMA)]
    share = len(_near_peak(dark)) / shown.px
    if (
        shown.together >= _TOGETHER
        and share >= _MOSTLY_DARK
        and share > _MORE * shown.glass
        and not _is_noiseless(dark)
    ):
        return "its background is dark and its stains are bright, as in a negative"
    coloured = _near_peak(values[(spread >= _PEAK_CHROMA) & (_most(values) >= _PEAK_LIGHT)])
    share = len(coloured) / shown.px
    if shown.together < _HARDLY_TOGETHER and share >= _PEAK and share > _MORE * shown.glass:
        centre = np.median(coloured, axis=0)
        # Where it is a stain's colour, there is paler tissue beside it.
        if float((values > centre + _PEAK_WIDTH).all(axis=1).mean()) < _NO_PALER:
            colour = ", ".join(f"{value:.0f}" for value in centre)
            return f"its background has the colour ({colour}), which no glass has"
    return ""


def _scanned(rgb: Pixels) -> NDArray[np.int16]:
    values = rgb.reshape(-1, 3)
    return values[_most(values) > _PADDING].astype(np.int16)


# Channel by channel: NumPy's reductions over an axis of three take ten times as long.


def _most(values: NDArray[_Number]) -> NDArray[_Number]:
    red, green, blue = values.T
    most: NDArray[_Number] = np.maximum(np.maximum(red, green), blue)
    return most


def _spread(values: NDArray[np.int16]) -> NDArray[np.int16]:
    """Difference between the channels, ``(n,)``."""
    red, green, blue = values.T
    least: NDArray[np.int16] = np.minimum(np.minimum(red, green), blue)
    return np.subtract(_most(values), least, out=least)


def _luminance(values: NDArray[np.int16]) -> NDArray[np.float32]:
    weights = np.array([0.2125, 0.7154, 0.0721], np.float32) / 255
    return np.asarray(values.astype(np.float32) @ weights, np.float32)


def _near_peak(values: NDArray[np.int16]) -> NDArray[np.int16]:
    """Those of the px that are near the most frequent colour."""
    if not len(values):
        return values
    coarse = (values >> 3).astype(np.int32)
    codes = (coarse[:, 0] << 10) + (coarse[:, 1] << 5) + coarse[:, 2]
    inside = values[codes == np.bincount(codes).argmax()]
    centre = np.median(inside, axis=0).astype(np.int16)
    near: NDArray[np.bool_] = (np.abs(values - centre) <= _PEAK_WIDTH).all(axis=1)
    return values[near]


def _is_noiseless(values: NDArray[np.int16]) -> bool:
    codes = (values.astype(np.int32) * (1 << 16, 1 << 8, 1)).sum(axis=1)
    return int(np.unique(codes, return_counts=True)[1].max()) > _NOISELESS * len(values)
