"""Collections of images: folders and tables, and one line for what cannot be used."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from wsi_pipeline.errors import CohortError
from wsi_pipeline.images.collection import LabelledImage, read_collection


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b/2.png", "a/1.JPG", "a/inner/3.tif", "4.bmp", "a/._1.png", "b/notes.txt"):
        path = tmp_path / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        if path.suffix.lower() != ".txt" and not path.name.startswith("."):
            Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(path)
    return tmp_path / "images"


def table(folder: Path, text: str) -> Path:
    path = folder.parent / "table.csv"
    path.write_text(text, encoding="utf-8-sig")
    return path


def test_a_folder_per_class_and_files_without_one(folder: Path) -> None:
    found = read_collection(folder)
    named = {str(one.path.relative_to(folder)): one.label for one in found.images}
    assert named == {"4.bmp": None, "a/1.JPG": "a", "a/inner/3.tif": "a", "b/2.png": "b"}
    assert (found.classes, found.sources, found.grouped) == (("a", "b"), (), False)
    # A link to nothing is named when it is read, not passed over.
    (folder / "b" / "gone.png").symlink_to(folder / "nothing.png")
    assert folder / "b" / "gone.png" in [one.path for one in read_collection(folder).images]
    assert read_collection(folder / "4.bmp").images == (LabelledImage(folder / "4.bmp"),)


@pytest.mark.parametrize("sign", [",", ";", "\t"])
def test_a_table(folder: Path, sign: str) -> None:
    text = "path,label,group,source\nimages/a/1.JPG,x,p1,here\nimages/4.bmp,y,p2,\n\n"
    found = read_collection(table(folder, text.replace(",", sign)))
    assert found.images == (
        LabelledImage(folder / "4.bmp", "y", "p2", None),
        LabelledImage(folder / "a" / "1.JPG", "x", "p1", "here"),
    )
    assert found.grouped
    assert found.sources == ("here",)


def test_a_parquet_table_says_the_same(folder: Path) -> None:
    path = folder.parent / "table.parquet"
    pq.write_table(pa.table({"path": ["images/4.bmp"], "label": [7], "group": [None]}), path)
    assert read_collection(path).images == (LabelledImage(folder / "4.bmp", "7"),)


def test_labels_beside_a_folder(folder: Path) -> None:
    labels = table(folder, "path,label,source\nimages/a/1.JPG,c,far\n")
    found = read_collection(folder, labels=labels)
    assert LabelledImage(folder / "a" / "1.JPG", "c", None, "far") in found.images
    labels = table(folder, "path,label\nimages/a/1.JPG,c\nimages/gone.png,c\n")
    with pytest.raises(CohortError, match=r"row 3: there is no file images/gone\.png; correct"):
        read_collection(folder, labels=labels)
    with pytest.raises(CohortError, match="is not among the images"):
        read_collection(folder / "b", labels=table(folder, "path,label\nimages/4.bmp,c\n"))


def test_bad_rows_are_one_line_each(folder: Path) -> None:
    text = "path,label\nimages/4.bmp,a\nimages/4.bmp,b\n,c\nimages/gone.png,c\nimages/b/2.png,b\n"
    path = table(folder, text)
    with pytest.raises(CohortError, match=r"row 3 says of images/4\.bmp: label b; before: label a"):
        read_collection(path)
    found = read_collection(path, skip_bad=True)
    assert [one.path.name for one in found.images] == ["2.png"]
    assert len(found.problems) == 3
    # The same row twice says nothing new.
    assert len(read_collection(table(folder, "path\nimages/4.bmp\nimages/4.bmp\n")).images) == 1


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("file,label\n1.png,a\n", "has no column path"),
        ("path,label,label\n1.png,a,b\n", "has two columns label"),
        ("path,label\n", "holds no image"),
    ],
)
def test_tables_that_are_none(folder: Path, text: str, reason: str) -> None:
    with pytest.raises(CohortError, match=reason):
        read_collection(table(folder, text))


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(CohortError, match="holds no image"):
        read_collection(tmp_path)
    with pytest.raises(CohortError, match="no such image, folder or table"):
        read_collection(tmp_path / "gone.png")
    with pytest.raises(CohortError, match="cannot be read: No such file"):
        read_collection(tmp_path / "gone.csv")
    (tmp_path / "bad.parquet").write_bytes(b"no table")
    with pytest.raises(CohortError, match="cannot be read"):
        read_collection(tmp_path / "bad.parquet")
