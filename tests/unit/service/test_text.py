"""Text as it is given: kept whole, or refused with the reason."""

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from wsi_pipeline.errors import UsageError
from wsi_pipeline.service.text import (
    check_label,
    check_search,
    check_slide_name,
    fault_of_lines,
    shown,
)

#: All there is, halves of pairs too.
ANY = st.text(st.characters(exclude_categories=()), max_size=300)


@given(ANY)
@example("a\u0308.svs")
@example("a\ud83d\ude00.svs")
@example("\U0001f469\u200d\U0001f52c.svs")
def test_a_name_is_kept_whole_or_refused(text: str) -> None:
    try:
        name = check_slide_name(text)
    except UsageError as error:
        reason = str(error)
        assert reason.isprintable()
        return
    assert name == unicodedata.normalize("NFC", text)
    assert 0 < len(text) <= 255
    assert not set(name) & set("/\\\0\r\n\x85\u2028\u2029\u202e")
    assert name.strip() not in ("", ".", "..") or name != name.strip()
    name.encode()
    assert len(name.splitlines()) == 1


@given(st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S", "M"]), min_size=1))
def test_letters_signs_and_numbers_are_never_refused(text: str) -> None:
    text = text.replace("/", "-").replace("\\", "-")[:255]
    if text not in (".", ".."):
        assert check_slide_name(text) == unicodedata.normalize("NFC", text)


@given(ANY)
def test_whatever_it_is_can_be_shown_on_a_line(text: str) -> None:
    line = shown(text)
    line.encode()
    assert len(line.splitlines()) <= 1
    if shown(text) == text and text.strip() and len(text) <= 200:
        assert check_label("key", text) == text
        assert check_search(text) == unicodedata.normalize("NFC", text)


def test_a_search_finds_the_names_that_are_kept() -> None:
    """A name as macOS writes it, in parts, is kept composed, and is searched for as either."""
    for text in ("Ma\u0308rz", "M\u00e4rz"):
        assert check_search(text) == check_slide_name(text) == "M\u00e4rz"


@given(ANY)
def test_several_lines_are_kept_as_they_are(text: str) -> None:
    if fault_of_lines(text) is None:
        assert "\0" not in text
        text.encode()


def test_what_is_wrong_is_said() -> None:
    for text, reason in (
        ("", "is empty"),
        ("x" * 256, "256 characters; 255 at most"),
        ("a\x00b", "U+0000, a character that cannot be shown"),
        ("a\r", "a line end (U+000D)"),
        ("a\udc80", "half of a surrogate pair"),
        ("a/b", "send the file's name alone"),
        ("..", "stands for a folder"),
    ):
        with pytest.raises(UsageError) as refused:
            check_slide_name(text)
        assert reason in str(refused.value)
    assert fault_of_lines("one\nand\ttwo\r\n") is None
    assert fault_of_lines("a\x00") == "the control character U+0000"
    assert check_search("") == ""
