"""Text that people and programs give: taken as it is or refused, never with characters left out."""

import re
import unicodedata

from wsi_pipeline.errors import UsageError

#: Characters of a slide's name.
MAX_NAME = 255
#: Characters of an image's name, its folders included.
MAX_IMAGE_NAME = 500
#: Characters of names of keys and workspaces.
MAX_LABEL = 200
#: Control characters that a text of several lines has none of; Unicode's C0 and DEL.
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
#: Join letters of Persian and Hindi, and the parts of one emoji.
_JOINERS = "\u200c\u200d"
_SURROGATE = "half of a surrogate pair, which is no character"


def check_slide_name(name: str) -> str:
    """The name of a slide, in Unicode's composed form (NFC); nothing else of it is changed.

    Raises:
        UsageError: it is empty or too long, no single line, ``.`` or ``..``, part of it is a
            folder, or a character of it cannot be shown; the message says which.
    """
    _check_line("the slide's name", name, MAX_NAME)
    if re.search(r"[/\\]", name):
        raise UsageError("the slide's name is a path; send the file's name alone, without / and \\")
    if name in (".", ".."):
        raise UsageError(f"the slide's name is {name!r}, which stands for a folder")
    return unicodedata.normalize("NFC", name)


def check_image_name(name: str) -> str:
    """The name of an image, with its folders, in composed form (NFC): ``blood/smear 7/a.png``.

    Raises:
        UsageError: it is empty or too long, no single line, has a part that is empty, ``.`` or
            ``..``, as it has where it begins with ``/``, or a character of it cannot be shown;
            the message says which.
    """
    name = unicodedata.normalize("NFC", name)
    _check_line("the image's name", name, MAX_IMAGE_NAME)
    if "\\" in name:
        raise UsageError("the image's name holds \\; divide its folders by /")
    if any(part.strip() in ("", ".", "..") for part in name.split("/")):
        raise UsageError("the image's name has a part that is empty, . or ..: rename it")
    return name


def check_class(label: str) -> str:
    """The name of a class that an image is labelled with; blanks around it are dropped.

    Raises:
        UsageError: it is empty or too long, no single line, or a character cannot be shown.
    """
    _check_line("the label", label.strip(), MAX_LABEL)
    return label.strip()


def check_label(what: str, label: str) -> str:
    """The name of a key or workspace.

    Args:
        what: What it is the name of.
        label: The name.

    Raises:
        UsageError: it is empty or too long, no single line, or a character cannot be shown.
    """
    _check_line(f"the {what}'s name", label, MAX_LABEL)
    return label


def check_search(text: str) -> str:
    """What names are searched for, in the form (NFC) that slides' names have.

    Raises:
        UsageError: it holds a character that no name has.
    """
    fault = _fault(text)
    if fault is not None:
        raise UsageError(f"search holds {fault}; no name can contain it")
    return unicodedata.normalize("NFC", text)


def fault_of_lines(text: str) -> str | None:
    """What a text of several lines must not hold and does; None if it may be kept."""
    control = _CONTROLS.search(text)
    if control is not None:
        return f"the control character U+{ord(control[0]):04X}"
    return _SURROGATE if re.search("[\ud800-\udfff]", text) else None


def shown(text: str) -> str:
    """Any text on one line: what cannot be shown is written as in a Python string."""
    return "".join(c if _fault(c) is None else repr(c)[1:-1] for c in text)


def _check_line(what: str, text: str, most: int) -> None:
    if not text.strip():
        raise UsageError(f"{what} is empty")
    if len(text) > most:
        raise UsageError(f"{what} has {len(text):,} characters; {most} at most")
    fault = _fault(text)
    if fault is not None:
        raise UsageError(f"{what} holds {fault}; rename it")


def _fault(text: str) -> str | None:
    """The first character that has no place on a line, in words."""
    for character in text:
        kind = unicodedata.category(character)
        if character.isprintable() or kind == "Zs" or character in _JOINERS:
            continue
        code = f"U+{ord(character):04X}"
        if character in "\n\r\x0b\x0c\x85" or kind in ("Zl", "Zp"):
            return f"a line end ({code})"
        if kind == "Cs":
            return _SURROGATE
        return f"{code}, a character that cannot be shown"
    return None
