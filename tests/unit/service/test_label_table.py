"""The table of labels, and names of images that any system can unpack."""

import unicodedata
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from wsi_pipeline.errors import UsageError
from wsi_pipeline.images.collection import read_collection
from wsi_pipeline.service.image_labels import GivenLabel, LabelledRow
from wsi_pipeline.service.label_table import (
    FOLDER,
    TABLE,
    archive_paths,
    disagreements,
    label_table,
)
from wsi_pipeline.service.text import check_class, check_image_name


def row(name: str, *labels: str, number: int = 0) -> LabelledRow:
    image_id = f"{number:032x}"
    given_labels = tuple(
        GivenLabel(image_id, one, f"key {i}", f"user {i}", 0.0) for i, one in enumerate(labels)
    )
    return LabelledRow(image_id, name, "a" * 64, "images/x", 3, 0.0, given_labels)


def accepted(check: object, text: str) -> bool:
    try:
        check(text)  # type: ignore[operator]  # one of the checks
    except UsageError:
        return False
    return True


#: Few letters, so that names meet; and what systems trip over.
_PARTS = st.text("aA.ä é:*CON,;\"'=", min_size=1, max_size=4) | st.sampled_from(
    ["con.png", "aux", "a" * 300 + ".png", "é" * 200, "..", " a", "a ", "a.", "\u00e9", "e\u0301"]
)
_NAMES = st.lists(_PARTS, min_size=1, max_size=3).map("/".join)
_LABELS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=30)


@given(st.lists(st.tuples(_NAMES, _LABELS), max_size=12))
@settings(max_examples=80)
def test_a_training_reads_the_archive_as_it_was_meant(
    tmp_path_factory: object, given_rows: list[tuple[str, str]]
) -> None:
    """Every image is under its own path, below the folder, with its label kept whole."""
    rows = [
        row(check_image_name(name), check_class(label), number=number)
        for number, (name, label) in enumerate(given_rows)
        if accepted(check_image_name, name) and accepted(check_class, label)
    ]
    paths = archive_paths(rows)
    folder: Path = tmp_path_factory.mktemp("labels")  # type: ignore[attr-defined]  # pytest's
    for one in rows:
        path = folder / paths[one.image_id]
        assert path.resolve().is_relative_to(folder.resolve() / FOLDER)
        path.parent.mkdir(parents=True, exist_ok=True)
        assert not path.exists(), "two images of one name"
        path.write_text(one.image_id)
        assert all(len(part.encode()) <= 255 for part in path.parts)
    lowered = [unicodedata.normalize("NFC", path).casefold() for path in paths.values()]
    assert len(set(lowered)) == len(lowered), "a system without capitals would lose one"
    if not rows:
        return
    (folder / TABLE).write_text(label_table(rows, paths), encoding="utf-8")
    read = {one.path.read_text(): one.label for one in read_collection(folder / TABLE).images}
    assert read == {one.image_id: one.agreed for one in rows}


def test_disagreements_are_left_out_and_listed() -> None:
    rows = [row("a.png", "x", "x"), row("b.png", "x", "y"), row("c, d.png", "=1+1")]
    assert label_table(rows).splitlines() == [
        "path,label,group,source,sha256",
        f"a.png,x,,,{'a' * 64}",
        f'"c, d.png",=1+1,,,{"a" * 64}',
    ]
    assert disagreements(rows).splitlines() == [
        "path,label,author,sha256",
        f"b.png,x,user 0,{'a' * 64}",
        f"b.png,y,user 1,{'a' * 64}",
    ]


def test_a_file_is_no_folder_of_another() -> None:
    rows = [row("a", "x", number=1), row("A/b.png", "x", number=2), row("a", "y", number=3)]
    assert list(archive_paths(rows).values()) == [
        "images/a",
        "images/00000000/A/b.png",
        "images/00000000/00000000/a",
    ]
