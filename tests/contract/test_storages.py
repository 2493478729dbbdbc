"""Every place to keep files keeps one contract."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from servers_support import S3Server, s3_server

from wsi_pipeline.errors import UsageError
from wsi_pipeline.storage import Storage, open_storage
from wsi_pipeline.storage.cache import Cache
from wsi_pipeline.storage.keys import TREE_MANIFEST

HOSTILE_KEYS = [
    "", "/", "/etc/passwd", "..", "../x", "a/../../x", "a/..", "a//b", "a/", "./a", "a/./b",
    ".new/x", ".hidden", "a\0b", "a\nb", "x" * 256, "/".join(["x" * 200] * 5), "a/\udcff",
]  # fmt: skip


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Server]:
    with s3_server() as server:
        yield server


@pytest.fixture(params=["local", "objects"])
def storage(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Storage:
    if request.param == "local":
        return open_storage(str(tmp_path / "store"))
    server: S3Server = request.getfixturevalue("s3")
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    return open_storage(f"s3://slides/{tmp_path.name}/deeper")


@pytest.fixture
def make_file(tmp_path: Path) -> Callable[..., Path]:
    def make(content: bytes = b"content", name: str = "source") -> Path:
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return make


@pytest.fixture
def make_tree(tmp_path: Path) -> Callable[..., Path]:
    def make(*names: str, content: bytes = b"x") -> Path:
        folder = tmp_path / "tree"
        for name in names or ("zarr.json", "0/zarr.json", "0/c/0/0", "labels/a"):
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content + name.encode())
        return folder

    return make


def content(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != TREE_MANIFEST
    }


def keys(storage: Storage, prefix: str) -> list[str]:
    return [found.key for found in storage.list(prefix)]


def test_a_file_comes_back(storage: Storage, make_file: Callable[..., Path]) -> None:
    source = make_file(b"0123456789")
    storage.put_file("slides/a/slide.svs", source)
    assert source.exists()
    found = storage.stat("slides/a/slide.svs")
    assert found is not None
    assert (found.key, found.size_bytes) == ("slides/a/slide.svs", 10)
    assert found.etag.startswith('"')
    assert found.etag.endswith('"')
    assert storage.stat("slides/a/slide.svs") == found
    assert storage.read("slides/a/slide.svs") == b"0123456789"


@pytest.mark.parametrize(
    ("start", "length", "expected"),
    [
        (0, 4, b"0123"),
        (3, 4, b"3456"),
        (3, None, b"3456789"),
        (8, 100, b"89"),
        (10, 1, b""),
        (50, None, b""),
        (4, 0, b""),
    ],
)
def test_ranges(
    storage: Storage,
    make_file: Callable[..., Path],
    start: int,
    length: int | None,
    expected: bytes,
) -> None:
    storage.put_file("a", make_file(b"0123456789"))
    assert storage.read("a", start, length) == expected


def test_an_empty_file(storage: Storage, make_file: Callable[..., Path]) -> None:
    storage.put_file("a/empty", make_file(b""))
    assert storage.read("a/empty") == b""
    assert storage.read("a/empty", 5, 5) == b""


def test_moving_takes_the_source_away(storage: Storage, make_file: Callable[..., Path]) -> None:
    source = make_file()
    os.utime(source, (1000, 1000))
    storage.put_file("a/b", source, move=True)
    assert not source.exists()
    assert storage.read("a/b") == b"content"
    found = storage.stat("a/b")
    assert found is not None
    assert abs(found.modified_at - time.time()) < 60, "it was stored now"


def test_another_content_has_another_etag(
    storage: Storage, make_file: Callable[..., Path], tmp_path: Path
) -> None:
    storage.put_file("a", make_file(b"one"))
    first = storage.stat("a")
    copy = storage.local_path("a", tmp_path / "cache")
    assert copy.read_bytes() == b"one"
    storage.put_file("a", make_file(b"two"))
    second = storage.stat("a")
    assert first is not None
    assert second is not None
    assert first.etag != second.etag
    assert storage.read("a") == b"two"
    assert storage.local_path("a", tmp_path / "cache").read_bytes() == b"two"


def test_what_is_not_there(storage: Storage, tmp_path: Path) -> None:
    assert storage.stat("no/such") is None
    assert not storage.has_tree("no/such")
    assert keys(storage, "no") == []
    assert keys(storage, "") == []
    for read in (
        lambda: storage.read("no/such"),
        lambda: storage.read("no/such", 1, 1),
        lambda: storage.local_path("no/such", tmp_path / "cache"),
    ):
        with pytest.raises(FileNotFoundError):
            read()
    storage.delete("no/such")


def test_a_file_is_no_folder(
    storage: Storage, make_file: Callable[..., Path], make_tree: Callable[..., Path]
) -> None:
    storage.put_file("a", make_file())
    assert storage.stat("a/b") is None
    assert not storage.has_tree("a")
    assert keys(storage, "a") == []
    with pytest.raises(FileNotFoundError):
        storage.read("a/b")
    storage.put_tree("tree", make_tree())
    assert storage.stat("tree") is None
    with pytest.raises(FileNotFoundError):
        storage.read("tree")


@pytest.mark.parametrize("move", [True, False])
@pytest.mark.parametrize("names", [(), ("slide.mrxs", "slide/Data0000.dat", "slide/deep/er/x")])
def test_a_tree_comes_back(
    storage: Storage,
    make_tree: Callable[..., Path],
    tmp_path: Path,
    move: bool,
    names: tuple[str, ...],
) -> None:
    source = make_tree(*names)
    expected = content(source)
    assert not storage.has_tree("results/1/mask.zarr")
    storage.put_tree("results/1/mask.zarr", source, move=move)
    assert source.exists() is not move
    assert storage.has_tree("results/1/mask.zarr")
    assert keys(storage, "results/1/mask.zarr") == [
        f"results/1/mask.zarr/{name}" for name in sorted(expected)
    ]
    for name, data in expected.items():
        assert storage.read(f"results/1/mask.zarr/{name}") == data
    local = storage.local_path("results/1/mask.zarr", tmp_path / "cache")
    assert local.name == "mask.zarr"
    assert content(local) == expected
    assert storage.local_path("results/1/mask.zarr", tmp_path / "cache") == local


def test_a_tree_that_is_there_stays(storage: Storage, make_tree: Callable[..., Path]) -> None:
    storage.put_tree("t", make_tree("zarr.json", content=b"first"))
    storage.put_tree("t", make_tree("zarr.json", content=b"second"), move=True)
    assert storage.read("t/zarr.json") == b"firstzarr.json"


def test_a_folder_above_trees_is_none(storage: Storage, make_tree: Callable[..., Path]) -> None:
    storage.put_tree("results/1/mask.zarr", make_tree())
    assert not storage.has_tree("results/1")
    assert not storage.has_tree("results")


def test_links_are_not_followed(
    storage: Storage, make_tree: Callable[..., Path], tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    source = make_tree()
    (source / "link").symlink_to(secret)
    (tmp_path / "alone").symlink_to(secret)
    with pytest.raises(UsageError):
        storage.put_tree("t", source)
    with pytest.raises(UsageError):
        storage.put_file("f", tmp_path / "alone")
    assert keys(storage, "") == []


def test_lists_are_in_order_and_end_at_slashes(
    storage: Storage, make_file: Callable[..., Path]
) -> None:
    names = ["a/b/c", "a/b-c", "a/b.d/e", "a/z", "ab/x", "a/b/a"]
    for name in names:
        storage.put_file(name, make_file(name.encode()))
    assert keys(storage, "a") == ["a/b-c", "a/b.d/e", "a/b/a", "a/b/c", "a/z"]
    assert keys(storage, "") == sorted(names)
    assert keys(storage, "a/b") == ["a/b/a", "a/b/c"]
    (found,) = list(storage.list("ab"))
    assert found == storage.stat("ab/x")


def test_deleting(
    storage: Storage, make_file: Callable[..., Path], make_tree: Callable[..., Path]
) -> None:
    storage.put_file("a/b/file", make_file())
    storage.put_file("a/b/other", make_file())
    storage.put_tree("a/tree", make_tree())
    storage.delete("a/tree")
    assert not storage.has_tree("a/tree")
    storage.delete("a/b/file")
    assert keys(storage, "") == ["a/b/other"]
    storage.delete("a/b/other")
    assert keys(storage, "") == []
    storage.put_file("a/b/file", make_file())
    assert storage.read("a/b/file") == b"content"


def test_a_tree_without_its_manifest_is_none(
    storage: Storage, make_tree: Callable[..., Path], tmp_path: Path
) -> None:
    """What a killed writer or remover leaves; putting it again heals it."""
    storage.put_tree("t", make_tree("zarr.json", "0/stale"))
    storage.delete("t/zarr.json")
    assert not storage.has_tree("t")
    with pytest.raises(FileNotFoundError):
        storage.local_path("t", tmp_path / "cache")
    storage.delete("t")
    assert keys(storage, "t") == []


@pytest.mark.parametrize("key", HOSTILE_KEYS)
def test_hostile_keys_are_refused(
    storage: Storage,
    make_file: Callable[..., Path],
    make_tree: Callable[..., Path],
    tmp_path: Path,
    key: str,
) -> None:
    calls: list[Callable[[], object]] = [
        lambda: storage.put_file(key, make_file()),
        lambda: storage.put_tree(key, make_tree()),
        lambda: storage.has_tree(key),
        lambda: storage.stat(key),
        lambda: storage.read(key),
        lambda: storage.local_path(key, tmp_path / "cache"),
        lambda: storage.delete(key),
    ]
    if key:
        calls.append(lambda: keys(storage, key))
    for call in calls:
        with pytest.raises(UsageError):
            call()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(
    name=st.text(
        st.characters(min_codepoint=32, exclude_categories=["Cs"], exclude_characters="/\x7f"),
        min_size=1,
        max_size=30,
    ).filter(lambda name: name not in (".", "..")),
    data=st.binary(max_size=200),
)
def test_any_name_of_a_file_is_kept(
    storage: Storage, tmp_path: Path, name: str, data: bytes
) -> None:
    source = tmp_path / "any"
    source.write_bytes(data)
    storage.put_file(f"any/{name}", source)
    assert storage.read(f"any/{name}") == data
    assert keys(storage, "any") == ([] if name == TREE_MANIFEST else [f"any/{name}"])
    storage.delete(f"any/{name}")
    assert keys(storage, "any") == []


def test_readers_see_the_old_file_or_the_new(storage: Storage, tmp_path: Path) -> None:
    one, two = b"1" * 300_000, b"2" * 200_000
    (tmp_path / "one").write_bytes(one)
    (tmp_path / "two").write_bytes(two)
    storage.put_file("f", tmp_path / "one")
    ended = threading.Event()

    def write() -> None:
        for index in range(20):
            storage.put_file("f", tmp_path / ("two", "one")[index % 2])
        ended.set()

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(write)
        reads = 0
        while not ended.is_set() and not writing.done():
            assert storage.read("f") in (one, two)
            reads += 1
        writing.result()
    assert reads


def test_many_writers_of_one_tree_leave_one(
    storage: Storage, make_tree: Callable[..., Path], tmp_path: Path
) -> None:
    source = make_tree()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: storage.put_tree("t", source), range(8)))
    assert content(storage.local_path("t", tmp_path / "cache")) == content(source)


def test_many_openers_get_one_copy(
    storage: Storage, make_file: Callable[..., Path], tmp_path: Path
) -> None:
    storage.put_file("slides/a/slide.svs", make_file(os.urandom(300_000)))
    with ThreadPoolExecutor(8) as pool:
        paths = set(
            pool.map(
                lambda _: storage.local_path("slides/a/slide.svs", tmp_path / "cache"), range(16)
            )
        )
    (path,) = paths
    assert path.suffix == ".svs"
    assert path.read_bytes() == storage.read("slides/a/slide.svs")


def test_check(storage: Storage) -> None:
    storage.check()
    assert keys(storage, "") == []


def test_a_folder_that_cannot_be_written_fails_the_check(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        open_storage(str(tmp_path / "file")).check()


def test_a_bucket_that_is_not_there_fails_the_check(
    s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(OSError, match="stored under this key"):
        open_storage("s3://none").check()


def test_files_of_several_parts(
    s3: S3Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    storage = open_storage("s3://slides/parts")
    data = os.urandom(40 * 2**20 + 17)
    (tmp_path / "large").write_bytes(data)
    storage.put_file("large", tmp_path / "large")
    assert storage.read("large", 20 * 2**20, 1000) == data[20 * 2**20 :][:1000]
    assert storage.local_path("large", tmp_path / "cache").read_bytes() == data


@pytest.mark.parametrize(
    "endpoint", ["http://10.0.0.1:9000", "http://169.254.169.254", "http://s3.example"]
)
def test_plain_http_goes_nowhere_else(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    monkeypatch.delenv("AWS_ALLOW_HTTP", raising=False)
    with pytest.raises(UsageError, match="plain HTTP"):
        open_storage("s3://bucket/prefix")


@pytest.mark.parametrize(
    ("key", "secret", "said"),
    [
        ("", "", "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY must not be empty"),
        ("", "secret", "AWS_ACCESS_KEY_ID must not be empty"),
        ("key", " ", "AWS_SECRET_ACCESS_KEY must not be empty"),
        ("key", None, "AWS_SECRET_ACCESS_KEY must not be empty"),
    ],
)
def test_empty_keys_are_refused(
    key: str, secret: str | None, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a composition without its ``.env`` would have them."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", key)
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY", raising=False)
    if secret is not None:
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret)
    with pytest.raises(UsageError, match=said):
        open_storage("s3://bucket/prefix")


@pytest.mark.parametrize("address", ["s3://", "s3:///prefix", "s3://bucket/../x", "s3://b/?x=1"])
def test_addresses_that_are_none(address: str) -> None:
    with pytest.raises(UsageError):
        open_storage(address)


def test_the_cache_makes_room_for_what_is_new(tmp_path: Path) -> None:
    """Copies of a process that is gone go first; this process's own stay, being in use."""
    folder = tmp_path / "cache"

    def put(digest: str, size: int, *, leave: bool) -> Path:
        cache = Cache(folder, 1000)
        path = cache.path(digest, "f", size, lambda to: void(to.write_bytes(b"x" * size)))
        if leave:  # as if the process had ended
            for descriptor in cache._held.values():
                os.close(descriptor)
        else:
            kept.append(cache)
        return path

    kept: list[Cache] = []
    first = put("aa", 400, leave=True)
    second = put("bb", 400, leave=False)
    os.utime(first.parent, (2, 2))
    os.utime(second.parent, (1, 1))
    third = put("cc", 400, leave=True)
    assert not first.exists()
    assert second.exists(), "in use"
    assert third.exists()
    for descriptor in kept[0]._held.values():
        os.close(descriptor)
    put("dd", 900, leave=True)
    assert sorted(path.name for path in folder.iterdir()) == ["dd", "dd.lock"]


def test_a_copy_that_failed_is_not_there(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache", 1000)

    def fail(to: Path) -> None:
        to.write_bytes(b"half")
        raise OSError("the line dropped")

    with pytest.raises(OSError, match="dropped"):
        cache.path("aa", "f", 4, fail)
    whole = cache.path("aa", "f", 4, lambda to: void(to.write_bytes(b"full")))
    assert whole.read_bytes() == b"full"


def void(_: object) -> None:
    """For functions that give nothing back."""
