"""Why a TIFF directory cannot be read, said by the property at fault, with what converts it."""

from collections.abc import Sequence

import tifffile

from wsi_pipeline.slide.segmented_level import MAX_PICTURE_PX, MAX_SEGMENT_PX
from wsi_pipeline.slide.tiff.segment import COMPRESSIONS

#: For what libvips reads: any layout, any size.
TO_PYRAMID = (
    "convert it with `vips tiffsave IN OUT.tiff --tile --pyramid --compression jpeg --bigtiff`"
)
#: For what libvips reads in other colours or depths.
TO_RGB = "convert it with `vips colourspace IN OUT.tiff[tile,pyramid,compression=jpeg] srgb`"
_RESAVE = (
    "save it again with the program that wrote it, uncompressed or with LZW, deflate or JPEG "
    "compression"
)
_NO_STAIN = (
    "the models judge stained tissue on a bright background in 8-bit RGB: export the slide in "
    "colour"
)

_BLACK_IS_ZERO, _RGB, _PALETTE, _YCBCR = 1, 2, 3, 6
#: TIFF 6.0 and its supplements: colours that libvips converts.
_OTHER_COLOURS = {5: "CMYK", 8: "CIE L*a*b*", 9: "ICC L*a*b*", 10: "ITU L*a*b*"}
_JPEG = 7
#: TIFF 6.0, section 19: values of the tag SampleFormat.
_FLOATING_POINT = 3
#: Compressions whose streams turn YCbCr into RGB themselves.
_COLOUR_STREAMS = frozenset({_JPEG, 33003, 33004, 33005, 34712, 34927, 50001, 50002, 52546})


def refusal_of(pages: Sequence[tifffile.TiffPage]) -> str | None:
    """Why a level made of these directories cannot be read, with the remedy; None if it can.

    Args:
        pages: One directory, or three of one colour each.
    """
    if len(pages) == 3:
        if any(page.shape != pages[0].shape or page.samplesperpixel != 1 for page in pages):
            return f"its three colours are stored in different shapes; {_RESAVE}"
        if all(page.photometric == _BLACK_IS_ZERO and page.dtype == "uint8" for page in pages):
            return next((text for page in pages if (text := _layout_refusal(page))), None)
    return _colour_refusal(pages[0]) or _layout_refusal(pages[0])


def content_refusal(page: tifffile.TiffPage) -> str | None:
    """Why px are no stained tissue in colour, whoever decodes them; None if they may be.

    libtiff, and OpenSlide with it, decodes grey as RGB and takes the fourth of five channels for
    opacity, without a word.
    """
    samples, bits = page.samplesperpixel, page.bitspersample
    kind = "mask or drawing" if bits == 1 else "fluorescence or multichannel image?"
    if samples < 3 and page.photometric != _PALETTE:
        return f"its px are {bits}-bit grey, one channel ({kind}); {_NO_STAIN}"
    if samples > 4 and page.photometric not in _OTHER_COLOURS:
        return f"it has {samples} channels (multichannel image?), not 3; {_NO_STAIN}"
    if page.sampleformat == _FLOATING_POINT:
        return (
            f"its px are {samples} × {bits}-bit floating-point, not 8-bit RGB; save it as 8-bit "
            "RGB with the program that wrote it"
        )
    return None


def _colour_refusal(page: tifffile.TiffPage) -> str | None:
    content = content_refusal(page)
    if content:
        return content
    samples, colours, bits = page.samplesperpixel, page.photometric, page.bitspersample
    name = getattr(colours, "name", str(colours))
    ycbcr = colours == _YCBCR and page.compression not in _COLOUR_STREAMS
    reasons = (
        (
            colours in _OTHER_COLOURS,
            f"its colours are {_OTHER_COLOURS.get(colours)}, not RGB; {TO_RGB}",
        ),
        (
            colours not in (_RGB, _YCBCR, _PALETTE),
            f"its photometric interpretation is {name}, not RGB; {_RESAVE}",
        ),
        (
            page.dtype != "uint8" or bits != 8,
            f"its px are {samples} × {bits}-bit, not 8-bit RGB; {TO_RGB}",
        ),
        (ycbcr, f"its colours are YCbCr without JPEG compression; {TO_PYRAMID}"),
    )
    return next((text for wrong, text in reasons if wrong), None)


def _layout_refusal(page: tifffile.TiffPage) -> str | None:
    compression = int(page.compression)
    if compression not in COMPRESSIONS:
        name = getattr(page.compression, "name", "unknown").replace("_", " ")
        return f"it is compressed with method {compression} ({name}), which is not read; {_RESAVE}"
    if page.imagedepth != 1:
        return f"it is a volume of {page.imagedepth} planes; {_RESAVE}"
    if compression == _JPEG and page.planarconfig == 1 and page.samplesperpixel == 4:
        return f"its JPEG tiles have four channels; {TO_PYRAMID}"
    if page.is_tiled:
        name, width, height = "tiles", page.tilewidth, page.tilelength
    else:
        name, width = "strips", page.imagewidth
        height = min(page.rowsperstrip, page.imagelength)
    # Uncompressed strips are read in pieces.
    # A large one is decoded only if it is the whole picture (tiles are multiples of 16 px).
    whole = width < page.imagewidth + 16 and height < page.imagelength + 16
    most = MAX_PICTURE_PX if whole else MAX_SEGMENT_PX
    if width * height > most and not (not page.is_tiled and page.is_contiguous):
        return (
            f"its {name} of {width:,} × {height:,} px are too large: {most:,} px are decoded at "
            f"once; {TO_PYRAMID}"
        )
    return None
