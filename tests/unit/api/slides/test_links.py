"""Which addresses are slides that may be used; the others are all answered the same."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.problems import ApiError
from api.slides.links import Links


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder of slides that may be used, and things beside it that may not."""
    folder = tmp_path / "slides"
    (folder / "inner").mkdir(parents=True)
    (folder / "a.svs").write_bytes(b"slide")
    (folder / "b c.svs").write_bytes(b"slide")
    (folder / "m.mrxs").write_bytes(b"index")
    (folder / "m").mkdir()
    (folder / "m" / "Slidedat.ini").write_bytes(b"[GENERAL]")
    (folder / "empty").mkdir()
    (folder / "dicom").mkdir()
    (folder / "dicom" / "1.dcm").write_bytes(b"one")
    (folder / "dicom" / "2.dcm").write_bytes(b"two")
    (folder / "within.svs").symlink_to(folder / "a.svs")
    (tmp_path / "secret.svs").write_bytes(b"secret")
    (tmp_path / "slides-other").mkdir()
    (tmp_path / "slides-other" / "a.svs").write_bytes(b"other")
    (folder / "out.svs").symlink_to(tmp_path / "secret.svs")
    (folder / "out").symlink_to(tmp_path)
    (folder / "ring.svs").symlink_to(folder / "ring.svs")
    (folder / "bad.mrxs").write_bytes(b"index")
    (folder / "bad").mkdir()
    (folder / "bad" / "Data0.dat").symlink_to(tmp_path / "secret.svs")
    (folder / "service").mkdir()
    (folder / "service" / "store.svs").write_bytes(b"another workspace's")
    return folder


@pytest.fixture
def links(root: Path) -> Links:
    return Links((root,), (), root / "service")


def refusal(links: Links, uri: str) -> str:
    with pytest.raises(ApiError) as refused:
        links.find(uri)
    assert refused.value.kind.status == 422
    return str(refused.value)


def test_files_below_a_root_may_be_used(links: Links, root: Path) -> None:
    for uri in (f"{root}/a.svs", f"file://{root}/a.svs", f"file://localhost{root}/a.svs"):
        link = links.find(uri)
        assert link.source == f"file:{root}/a.svs"
        assert (link.name, link.size_bytes, link.is_object) == ("a.svs", 5, False)
    assert links.find(f"file://{root}/b%20c.svs").source == f"file:{root}/b c.svs"
    assert links.find(f"{root}/m.mrxs").size_bytes == 5 + 9
    assert links.find(f"{root}/dicom").size_bytes == 6
    # A link that stays inside is the file it leads to.
    assert links.find(f"{root}/within.svs").source == f"file:{root}/a.svs"


@pytest.mark.parametrize(
    "address",
    [
        "{root}/none.svs",
        "{root}/none/none.svs",
        "{root}",
        "{root}/",
        "{root}/empty",
        "{root}/out.svs",
        "{root}/out/secret.svs",
        "{root}/ring.svs",
        "{root}/bad.mrxs",
        "{root}/service/store.svs",
        "{root}/inner/../../secret.svs",
        "{root}/../secret.svs",
        "{root}/inner/../a.svs",
        "file://{root}/%2e%2e/secret.svs",
        "file://{root}/..%2fsecret.svs",
        "{root}-other/a.svs",
        "{root}/../slides-other/a.svs",
        "/etc/passwd",
        "file:///etc/passwd",
        "file:/etc/passwd",
        "//{root}/a.svs",
        "/proc/self/environ",
        "file://otherhost{root}/a.svs",
        "file://127.0.0.1{root}/a.svs",
        "file://{root}/a.svs?x",
        "file://{root}/a.svs#x",
        "slides/a.svs",
        "a.svs",
        "~/a.svs",
        "",
        " ",
        "http://127.0.0.1/a.svs",
        "https://example.org/a.svs",
        "http://169.254.169.254/latest/meta-data/",
        "http://[fd00:ec2::254]/latest/meta-data/",
        "ftp://example.org/a.svs",
        "gs://bucket/a.svs",
        "s3://bucket/a.svs",
        "s3:///a.svs",
        "data:,slide",
        "FILE://{root}/../secret.svs",
        "{root}/a.svs\n",
        "{root}/a\x00.svs",
        "{root}/inner\\..\\a.svs",
        "file://[{root}/a.svs",
        "/" + "x" * 5000,
        "/" + "x/" * 2000,
    ],
)
def test_everything_else_is_refused_in_the_same_words(
    links: Links, root: Path, address: str
) -> None:
    uri = address.replace("{root}", str(root))
    answer = refusal(links, uri)
    assert answer == refusal(links, "/nothing/here.svs")
    assert str(root) not in answer


def test_without_roots_nothing_may_be_used(root: Path) -> None:
    refusal(Links((), (), root / "service"), f"{root}/a.svs")


def test_a_root_may_be_a_link_itself(tmp_path: Path, root: Path) -> None:
    (tmp_path / "mounted").symlink_to(root)
    links = Links((tmp_path / "mounted",), (), tmp_path / "service")
    assert links.find(f"{tmp_path}/mounted/a.svs").source == f"file:{root}/a.svs"
    assert links.find(f"{root}/a.svs").source == f"file:{root}/a.svs"


def test_what_was_checked_is_followed_no_further(root: Path, tmp_path: Path) -> None:
    """Links put there afterwards may lead to what could have been named, and nowhere else."""
    links, path = Links((root,), (), root / "service", (tmp_path / "watch",)), root / "inner" / "z"
    path.write_bytes(b"slide")
    assert links.linked(f"file:{path}") == path
    watched = tmp_path / "incoming"
    watched.mkdir()
    (watched / "w.svs").write_bytes(b"slide")
    (tmp_path / "watch").symlink_to(watched)
    for target in (root / "a.svs", watched / "w.svs"):
        path.unlink()
        path.symlink_to(target)
        assert links.linked(f"file:{path}") == path
    assert links.linked(f"file:{tmp_path}/watch/w.svs") == tmp_path / "watch" / "w.svs"
    for target in (tmp_path / "secret.svs", path, root / "none", root / "service" / "store.svs"):
        path.unlink()
        path.symlink_to(target)
        with pytest.raises(FileNotFoundError, match="linked file is gone"):
            links.linked(f"file:{path}")
    for name in ("bad.mrxs", "out/secret.svs", "a.svs/b", "none.svs"):
        with pytest.raises(FileNotFoundError, match="linked file is gone"):
            links.linked(f"file:{root}/{name}")
    assert links.linked(f"file:{root}/m.mrxs") == root / "m.mrxs"


@given(st.lists(st.sampled_from(["..", ".", "", "out", "inner", "a.svs", "%2e%2e", "secret.svs"])))
def test_no_path_leads_out(tmp_path_factory: pytest.TempPathFactory, parts: list[str]) -> None:
    folder = tmp_path_factory.getbasetemp() / "walk"
    if not folder.is_dir():
        (folder / "slides" / "inner").mkdir(parents=True)
        (folder / "slides" / "a.svs").write_bytes(b"slide")
        (folder / "secret.svs").write_bytes(b"secret")
        (folder / "slides" / "out").symlink_to(folder)
    links = Links((folder / "slides",), (), folder / "service")
    found = set()
    for scheme in ("", "file://"):
        try:
            found.add(links.find(f"{scheme}{folder}/slides/{'/'.join(parts)}").source)
        except ApiError:
            continue
    assert found <= {f"file:{folder}/slides/a.svs"}


@pytest.mark.parametrize(
    "uri",
    [
        "s3://other/slides/a.svs",
        "s3://lab",
        "s3://lab/",
        "s3://lab/slides",
        "s3://lab/slides/",
        "s3://lab/slides/../secret.svs",
        "s3://lab/slides//a.svs",
        "s3://lab/slides/./a.svs",
        "s3://lab/slides-other/a.svs",
        "s3://lab/slides/%2e%2e/a.svs",
        "s3://lab/slides/a.svs?versionId=1",
        "s3://lab/slides/a.svs#x",
        "s3://lab@other/slides/a.svs",
        "s3://key:secret@lab/slides/a.svs",
        "S3://lab/slides/a.svs",
    ],
)
def test_objects_elsewhere_are_never_asked_for(tmp_path: Path, uri: str) -> None:
    links = Links((), ("s3://lab/slides/", "file:///etc"), tmp_path)
    assert links.storage_of(uri) is None
    refusal(links, uri)
