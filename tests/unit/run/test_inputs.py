"""What a command line means, and that no two slides share a result."""

import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsi_pipeline.run.inputs import expand


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def names(*arguments: Path | str) -> dict[str, str]:
    """Name of the result by the slide's own name."""
    slides = expand([str(argument) for argument in arguments]).slides
    return {str(entry.name): entry.path.name for entry in slides}


def test_folders_are_searched_through(tmp_path: Path) -> None:
    touch(tmp_path / "a.svs", tmp_path / "deep" / "er" / "b.NDPI", tmp_path / "deep" / "c.tiff")
    assert names(tmp_path) == {"a": "a.svs", "deep/er/b": "b.NDPI", "deep/c": "c.tiff"}


def test_what_is_no_slide_is_left_out_and_said(tmp_path: Path) -> None:
    touch(tmp_path / "a.tiff", tmp_path / "a_mask.tiff", tmp_path / "a.xml", tmp_path / ".b.svs")
    touch(tmp_path / "results.zarr" / "c.tiff", tmp_path / ".hidden" / "d.svs")
    inputs = expand([str(tmp_path)])
    assert [entry.path.name for entry in inputs.slides] == ["a.tiff"]
    assert {path.name for path in inputs.ignored} == {"a_mask.tiff", "a.xml"}
    assert inputs.problems == ()
    # Named outright, a mask is a slide like any other.
    assert names(tmp_path / "a_mask.tiff") == {"a_mask": "a_mask.tiff"}


def test_pictures_are_slides_where_they_are_named_not_in_folders(tmp_path: Path) -> None:
    """Beside slides they are thumbnails and heat maps."""
    touch(tmp_path / "a.svs", tmp_path / "a.heatmap.png", tmp_path / "rois" / "b.JPG")
    inputs = expand([str(tmp_path)])
    assert [entry.path.name for entry in inputs.slides] == ["a.svs"]
    assert {path.name for path in inputs.ignored} == {"a.heatmap.png", "b.JPG"}
    assert names(tmp_path / "rois" / "b.JPG", tmp_path / "*.png") == {
        "b": "b.JPG",
        "a.heatmap": "a.heatmap.png",
    }
    ((_, reason),) = expand([str(tmp_path / "rois")]).problems
    assert "folder without slides" in reason
    assert reason.endswith(f"a pattern names them: '{tmp_path / 'rois'}/*.JPG', with --slide-mpp")


def test_patterns_are_expanded_and_repeats_counted_once(tmp_path: Path) -> None:
    touch(tmp_path / "a.svs", tmp_path / "b.svs", tmp_path / "c.tiff")
    pattern = tmp_path / "*.svs"
    assert list(names(pattern, tmp_path / "a.svs", pattern)) == ["a", "b"]
    assert list(names(tmp_path / "**" / "*.svs")) == ["a", "b"]


def test_a_file_whose_name_looks_like_a_pattern_is_a_file(tmp_path: Path) -> None:
    touch(tmp_path / "a[1].svs")
    assert names(tmp_path / "a[1].svs") == {"a[1]": "a[1].svs"}


def test_arguments_that_lead_to_nothing_are_problems(tmp_path: Path) -> None:
    touch(tmp_path / "empty" / "notes.txt")
    arguments = [tmp_path / "absent.svs", tmp_path / "*.ndpi", tmp_path / "empty"]
    inputs = expand([str(argument) for argument in arguments])
    assert inputs.slides == ()
    assert [path for path, _ in inputs.problems] == arguments
    reasons = [why for _, why in inputs.problems]
    assert reasons[0] == "no such file or folder"
    assert "pattern" in reasons[1]
    assert "without slides" in reasons[2]


def test_an_mrxs_slides_folder_is_not_searched(tmp_path: Path) -> None:
    touch(tmp_path / "a.mrxs", tmp_path / "a" / "Data0000.tiff")
    assert names(tmp_path) == {"a": "a.mrxs"}


def test_a_folder_called_like_a_slide_fails_under_its_name(tmp_path: Path) -> None:
    (tmp_path / "odd.svs").mkdir()
    assert names(tmp_path) == {"odd.svs": "odd.svs"}


@pytest.mark.parametrize("place", ["", "ward"])
def test_a_folder_of_dicom_files_is_one_slide(data: Path, tmp_path: Path, place: str) -> None:
    source = data / "slides" / "boxes-dicom"
    folder = tmp_path / place / "case-7"
    shutil.copytree(source, folder)
    touch(folder / "notes.txt")
    found = expand([str(tmp_path)]).slides
    assert {entry.path for entry in found} <= {folder, *folder.iterdir()}
    assert all(str(entry.name).startswith(str(Path(place) / "case-7")) for entry in found)


def test_equal_names_get_their_suffixes(tmp_path: Path) -> None:
    touch(tmp_path / "a.svs", tmp_path / "a.tiff", tmp_path / "b.svs")
    assert names(tmp_path) == {"a.svs": "a.svs", "a.tiff": "a.tiff", "b": "b.svs"}
    touch(tmp_path / "one" / "x.svs", tmp_path / "two" / "x.svs")
    assert set(names(tmp_path / "one" / "x.svs", tmp_path / "two" / "x.svs")) == {
        "x.svs",
        "x.svs-2",
    }


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["p", "q", "r"]),
            st.sampled_from(["a", "b", "a.svs", "a.tif"]),
            st.sampled_from([".svs", ".tif", ".ndpi"]),
        ),
        min_size=1,
        max_size=12,
        unique=True,
    )
)
def test_no_two_slides_share_a_result(
    tmp_path_factory: pytest.TempPathFactory, slides: list[tuple[str, str, str]]
) -> None:
    root = tmp_path_factory.mktemp("inputs")
    paths = [root / folder / f"{stem}{suffix}" for folder, stem, suffix in slides]
    touch(*paths)
    entries = expand([str(path) for path in paths]).slides
    assert {entry.path for entry in entries} == set(paths)
    results = [entry.result(root) for entry in entries]
    assert len(set(results)) == len(results)
    assert all(result.suffix == ".zarr" for result in results)
