"""What a file is that is no slide: empty, text, another known kind, or none that is known."""

import os
from pathlib import Path

from wsi_pipeline.errors import DamagedSlideError, SlideError, UnsupportedSlideError

EMPTY = "the file is empty; copy or upload it again"
_HEAD_BYTES = 4096
_TO_PNG = "convert it with `vips copy IN OUT.png`"
_BY_SCANNER = "export it as TIFF or SVS with the scanner's software"
#: Beginnings of files: where they start, the bytes, what the file is, and what to do.
_MAGIC: tuple[tuple[int, bytes, str, str], ...] = (
    (0, b"PK\x03\x04", "a ZIP archive", "unpack it first"),
    (0, b"PK\x05\x06", "an empty ZIP archive", "pack it again"),
    (0, b"\x1f\x8b", "compressed with gzip", "unpack it with `gunzip`"),
    (0, b"BZh", "compressed with bzip2", "unpack it with `bunzip2`"),
    (0, b"\xfd7zXZ\0", "compressed with xz", "unpack it with `unxz`"),
    (0, b"\x28\xb5\x2f\xfd", "compressed with Zstandard", "unpack it with `unzstd`"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", "unpack it first"),
    (0, b"Rar!\x1a\x07", "a RAR archive", "unpack it first"),
    (257, b"ustar", "a tar archive", "unpack it with `tar -xf`"),
    (0, b"%PDF-", "a PDF document", "ask for the slide itself"),
    (0, b"{\\rtf", "an RTF document", "ask for the slide itself"),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Microsoft Office document (or Zeiss ZVI)",
     "ask for the slide itself"),
    (0, b"\x7fELF", "a program (ELF)", "ask for the slide itself"),
    (0, b"MZ", "a Windows program", "ask for the slide itself"),
    (0, b"SQLite format 3\0", "an SQLite database", "ask for the slide itself"),
    (0, b"\x89HDF\r\n\x1a\n", "an HDF5 file", "ask for the slide itself"),
    (0, b"\x93NUMPY", "a NumPy array", "ask for the slide itself"),
    (4, b"ftypheic", "a HEIC picture", _TO_PNG),
    (4, b"ftypavif", "an AVIF picture", _TO_PNG),
    (4, b"ftyp", "a video (MP4 or QuickTime)", "export a single picture as PNG"),
    (0, b"\x1a\x45\xdf\xa3", "a video (Matroska or WebM)", "export a single picture as PNG"),
    (0, b"GIF8", "a GIF picture", _TO_PNG),
    (0, b"BM", "a BMP picture", "convert it with `magick IN OUT.png`"),
    (0, b"\0\0\0\x0cjP  \r\n\x87\n", "a JPEG 2000 picture",
     "convert it with `vips tiffsave IN OUT.tiff --tile --pyramid --compression jpeg`"),
    (0, b"\xff\x4f\xff\x51", "a JPEG 2000 picture",
     "convert it with `vips tiffsave IN OUT.tiff --tile --pyramid --compression jpeg`"),
    (0, b"\0\0\0\x0cJXL \r\n\x87\n", "a JPEG XL picture", _TO_PNG),
    (0, b"\xff\x0a", "a JPEG XL picture", _TO_PNG),
    (0, b"SIS\0", "a part of an Olympus VSI slide (ETS)", _BY_SCANNER),
)  # fmt: skip
#: Beginnings of texts, in small letters, and what they are.
_TEXTS: tuple[tuple[str, str], ...] = (
    ("<!doctype html", "a web page"),
    ("<html", "a web page"),
    ("version https://git-lfs", "a Git LFS pointer"),
    ("<dataobject", "a Philips iSyntax file"),
    ("<?xml", "an XML text"),
    ("{", "a JSON text"),
    ("[", "a text"),
)
_REMEDIES = {
    "a web page": "the download gave a page (of a login?) instead of the slide; download it again",
    "a Git LFS pointer": "fetch the slide itself with `git lfs pull`",
    "a Philips iSyntax file": _BY_SCANNER,
}
_CONTROLS = frozenset(range(32)) - frozenset(b"\t\n\r\f\x1b")


def why_no_slide(path: Path) -> SlideError:
    """The error for a file in none of the formats that are read.

    Args:
        path: The file; the error names what it is, by its content and not by its suffix.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
        length = os.fstat(file.fileno()).st_size
    if not head:
        return DamagedSlideError(path, EMPTY)
    for start, magic, kind, remedy in _MAGIC:
        if head.startswith(magic, start):
            return UnsupportedSlideError(path, f"is {kind}, not a slide; {remedy}")
    if head[:4] == b"RIFF":
        picture = head[8:12] == b"WEBP"
        what = (
            f"a WebP picture, not a slide; {_TO_PNG}" if picture else "sound or video, not a slide"
        )
        return UnsupportedSlideError(path, f"is {what}")
    if not any(head):
        cause = f"begins with {len(head):,} zero bytes: it was not copied whole; copy it again"
        return DamagedSlideError(path, cause)
    text = _text(head, whole=length == len(head))
    if text is not None:
        kind = _kind_of_text(text)
        remedy = _REMEDIES.get(kind, "choose the slide file itself")
        return UnsupportedSlideError(path, f"is {kind}, not a slide; {remedy}")
    beginning = head[:8].hex(" ")
    return UnsupportedSlideError(
        path,
        f"is in no format that is read here (it begins with the bytes {beginning}); "
        "see docs/formats.md for those that are",
    )


def _kind_of_text(text: str) -> str:
    beginning = text.lstrip("\ufeff \t\r\n").lower()
    for start, kind in _TEXTS:
        if beginning.startswith(start):
            return "a web page" if kind == "an XML text" and "<html" in beginning else kind
    return "a text file"


def _text(head: bytes, *, whole: bool) -> str | None:
    """The beginning of a text in UTF-8, UTF-16 or Latin-1; None of anything else."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        try:
            return head[: len(head) // 2 * 2].decode("utf-16")
        except UnicodeDecodeError:
            return None
    if _CONTROLS.intersection(head):
        return None
    for cut in range(1 if whole else 4):  # the last character may be cut
        try:
            return head[: len(head) - cut].decode("utf-8")
        except UnicodeDecodeError:
            continue
    text = head.decode("latin-1")
    letters = sum(character.isascii() for character in text)
    return text if letters > 0.8 * len(text) else None
