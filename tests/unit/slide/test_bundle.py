"""Slides of several files in a ZIP; and what else a ZIP can be."""

import io
import stat
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from disks_support import small_disk
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, VLWholeSlideMicroscopyImageStorage, generate_uid

from wsi_pipeline.errors import DamagedSlideError, SlideError, UnsupportedSlideError
from wsi_pipeline.slide.bundle import Bundle, BundleLimits, is_zip, unpack
from wsi_pipeline.slide.files import slide_files

_MRXS = {"a.mrxs": b"index", "a/Slidedat.ini": b"[GENERAL]", "a/Data0000.dat": b"px"}


def packed(path: Path, files: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data, method)
    return path


def dicom(series: str) -> bytes:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = VLWholeSlideMicroscopyImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    dataset.SeriesInstanceUID = series
    file = io.BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()


def unpacked(tmp_path: Path, contents: Mapping[str, bytes], **limits: float) -> Bundle:
    archive = packed(tmp_path / "a.zip", contents)
    assert is_zip(archive)
    return unpack(archive, tmp_path / "out", BundleLimits(**limits))  # type: ignore[arg-type]  # ints


def refusal(tmp_path: Path, contents: Mapping[str, bytes], **limits: float) -> str:
    with pytest.raises(UnsupportedSlideError) as refused:
        unpacked(tmp_path, contents, **limits)
    assert not any(name in refused.value.cause for name in contents if len(name) > 1)
    return refused.value.cause


def names(bundle: Bundle, folder: Path) -> list[str]:
    return [str(file.relative_to(folder)) for file in bundle.files]


def test_mrxs_gets_names_of_ours(tmp_path: Path) -> None:
    files = {f"Smith^John/{name}": data for name, data in _MRXS.items()}
    files |= {"Smith^John/notes.txt": b"n", "__MACOSX/x": b"m", "Smith^John/.DS_Store": b"s"}
    bundle = unpacked(tmp_path, files)
    folder = tmp_path / "out"
    assert names(bundle, folder) == ["slide.mrxs", "slide/Data0000.dat", "slide/Slidedat.ini"]
    assert bundle.path == folder
    assert bundle.size_bytes == sum(map(len, _MRXS.values()))
    assert (folder / "slide" / "Slidedat.ini").read_bytes() == b"[GENERAL]"
    assert set(slide_files(folder)) == set(bundle.files), "the folder is opened as the slide"


def test_dicom_is_its_files_in_the_order_of_their_names(tmp_path: Path) -> None:
    series = generate_uid()
    files = {"d/b": dicom(series), "d/a.dcm": dicom(series), "d/deeper/c": dicom(series)}
    bundle = unpacked(tmp_path, {**files, "DICOMDIR.txt": b"x"})
    assert names(bundle, tmp_path / "out") == ["00001.dcm", "00002.dcm", "00003.dcm"]
    assert bundle.files[0].read_bytes() == files["d/a.dcm"]
    assert set(slide_files(bundle.path)) == set(bundle.files)


def test_one_file_is_itself(tmp_path: Path) -> None:
    bundle = unpacked(tmp_path, {"Smith.SVS": b"II*\0 px"})
    assert bundle.path == tmp_path / "out" / "slide.svs"
    assert bundle.files == (bundle.path,)
    assert bundle.path.read_bytes() == b"II*\0 px"


@pytest.mark.parametrize(
    ("files", "cause"),
    [
        ({}, "no file"),
        ({"__MACOSX/x": b"m"}, "no file"),
        ({"one.svs": b"1", "two.svs": b"2"}, "2 files that are no slide"),
        ({"a.mrxs": b"index", "b/Slidedat.ini": b"i"}, "without the folder"),
        ({**_MRXS, "b.mrxs": b"index", "b/x": b"1"}, "several slides"),
        ({"1.dcm": dicom("1.2.3"), "2.dcm": dicom("1.2.4")}, "several DICOM series"),
    ],
)
def test_other_things_are_no_slide(tmp_path: Path, files: dict[str, bytes], cause: str) -> None:
    assert cause in refusal(tmp_path, files)


@pytest.mark.parametrize(
    "name",
    [
        "../outside",
        "a/../../outside",
        "/etc/outside",
        "//outside",
        "a//b",
        "./a",
        "C:/outside",
        "c:outside",
        "..\\outside",
        "a\\b",
        "a\nb",
        "a\x00b",
        "a/" * 16 + "deep",
        "x" * 256,
        "..",
    ],
)
def test_no_name_leaves_the_folder(tmp_path: Path, name: str) -> None:
    # Python's own writer would tidy some of these; others do not.
    archive = packed(tmp_path / "plain.zip", {"N" * len(name.encode()): b"px"})
    data = archive.read_bytes().replace(b"N" * len(name.encode()), name.encode())
    archive.write_bytes(data)
    inside = tmp_path / "in" / "side"
    inside.mkdir(parents=True)
    before = {path for path in tmp_path.rglob("*") if inside not in path.parents}
    with pytest.raises(UnsupportedSlideError, match="does not stay inside"):
        unpack(archive, inside / "out")
    assert {path for path in tmp_path.rglob("*") if inside not in path.parents} == before
    assert not [path for path in inside.rglob("*") if path.is_file()]


def test_a_link_is_refused(tmp_path: Path) -> None:
    archive = tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w") as writing:
        link = zipfile.ZipInfo("a.svs")
        link.create_system = 3
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        writing.writestr(link, "/etc/passwd")
    with pytest.raises(UnsupportedSlideError, match="link"):
        unpack(archive, tmp_path / "out")


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    cause = refusal(tmp_path, {"a.svs": bytes(70 * 2**20)})
    assert "no slide shrinks like that" in cause
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file()]


def test_a_bomb_of_300_mb_costs_no_room(tmp_path: Path) -> None:
    """In one file or in many, side by side or one in the other."""
    whole = 300 * 2**20
    bombs = {
        "one": {"a.svs": bytes(whole)},
        "many": {f"a/{number}.dat": bytes(whole // 30) for number in range(30)} | {"a.mrxs": b"i"},
    }
    for name, files in bombs.items():
        archive = packed(tmp_path / f"{name}.zip", files)
        assert archive.stat().st_size < 2**20
        with pytest.raises(UnsupportedSlideError, match="no slide shrinks like that"):
            unpack(archive, tmp_path / name)
    nested = packed(tmp_path / "nested.zip", {"a.zip": (tmp_path / "one.zip").read_bytes()})
    bundle = unpack(nested, tmp_path / "nested")
    assert bundle.size_bytes < 2**20, "what is in a ZIP is not unpacked again"
    left = sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file())
    assert left < 4 * 2**20


def test_entries_that_share_their_bytes_count_each(tmp_path: Path) -> None:
    """A bomb without nesting: every entry of the directory leads to the same compressed bytes."""
    archive = packed(tmp_path / "a.zip", {"0000": bytes(2**20)})
    data = archive.read_bytes()
    at = data.index(b"PK\x01\x02")
    central = data[at : data.index(b"PK\x05\x06")]
    directory = b"".join(central.replace(b"0000", b"%04d" % number) for number in range(300))
    end = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 300, 300, len(directory), at, 0)
    archive.write_bytes(data[:at] + directory + end)
    with pytest.raises(UnsupportedSlideError, match="314,572,800 bytes"):
        unpack(archive, tmp_path / "out")
    # And within what is allowed, an entry whose bytes are another's is damage.
    with pytest.raises(DamagedSlideError, match="damaged"):
        unpack(archive, tmp_path / "two", BundleLimits(free_bytes=2**30))


def test_of_ten_thousand_entries_none_is_unpacked(tmp_path: Path) -> None:
    names = [f"part-{number}" for number in range(10_000)]
    assert "10,000 files that are no slide" in refusal(tmp_path, dict.fromkeys(names, b""))
    (tmp_path / "b").mkdir()
    cause = refusal(tmp_path / "b", dict.fromkeys(names, b""), files=9_999)
    assert "10,000 entries, more than the 9,999 allowed" in cause
    assert not list((tmp_path / "b").rglob("*/*"))


@pytest.mark.parametrize(
    "kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFSOCK]
)
def test_among_many_files_a_link_or_device_is_seen(tmp_path: Path, kind: int) -> None:
    archive = tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w") as writing:
        for name, data in _MRXS.items():
            writing.writestr(name, data)
        special = zipfile.ZipInfo("a/Data0001.dat")
        special.create_system = 3
        special.external_attr = (kind | 0o777) << 16
        writing.writestr(special, "/etc/passwd")
    with pytest.raises(UnsupportedSlideError, match="a link or a device"):
        unpack(archive, tmp_path / "out")
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path != archive]


def test_a_disk_without_room_is_not_filled(tmp_path: Path) -> None:
    archive = packed(tmp_path / "a.zip", {"a.svs": bytes(8 * 2**20)})
    with small_disk(4 * 2**20) as disk:
        with pytest.raises(OSError, match="No space left"):
            unpack(archive, disk.folder / "out")
        assert not [path for path in disk.folder.rglob("*") if path.is_file()]


def test_limits_of_bytes_and_files(tmp_path: Path) -> None:
    assert "1,001 bytes, more than the 1,000" in refusal(
        tmp_path, {"a.svs": bytes(1001)}, bytes=1000
    )
    (tmp_path / "x").mkdir()
    many = {str(number): b"" for number in range(6)}
    assert "6 entries" in refusal(tmp_path / "x", many, files=5)


def test_a_lie_about_the_length_is_found(tmp_path: Path) -> None:
    archive = packed(tmp_path / "a.zip", {"a.svs": b"A" * 5000})
    data = archive.read_bytes()
    for says in (100, 9000):
        archive.write_bytes(data.replace(struct.pack("<I", 5000), struct.pack("<I", says)))
        with pytest.raises(DamagedSlideError, match="damaged"):
            unpack(archive, tmp_path / f"out{says}")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_unusual_compression_is_refused(tmp_path: Path, method: int) -> None:
    archive = packed(tmp_path / "a.zip", {"a.svs": b"px"}, method)
    with pytest.raises(UnsupportedSlideError, match="unusual"):
        unpack(archive, tmp_path / "out")


def test_a_password_is_refused(tmp_path: Path) -> None:
    archive = packed(tmp_path / "a.zip", {"a.svs": b"px"}, zipfile.ZIP_STORED)
    data = bytearray(archive.read_bytes())
    for magic, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(magic) + place] |= 1
    archive.write_bytes(data)
    with pytest.raises(UnsupportedSlideError, match="encrypted"):
        unpack(archive, tmp_path / "out")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_of_one_name_are_refused(tmp_path: Path) -> None:
    archive = tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w") as writing:
        writing.writestr("a.svs", b"1")
        writing.writestr("a.svs", b"2")
    with pytest.raises(UnsupportedSlideError, match="two files of one name"):
        unpack(archive, tmp_path / "out")


def test_a_file_where_a_folder_should_be_is_damage(tmp_path: Path) -> None:
    with pytest.raises(DamagedSlideError):
        unpacked(tmp_path, {"a": b"1", "a/b": b"2"})


def test_memory_and_time_are_limited(tmp_path: Path) -> None:
    archive = packed(tmp_path / "a.zip", {f"{number:05}" * 12_000: b"" for number in range(300)})
    with pytest.raises(DamagedSlideError, match="unpacking it failed within"):
        unpack(archive, tmp_path / "one", BundleLimits(memory=2**20))
    with pytest.raises(DamagedSlideError, match="took more than"):
        unpack(archive, tmp_path / "two", BundleLimits(seconds=0.001))


def test_the_disk_is_not_the_slides_fault(tmp_path: Path) -> None:
    archive = packed(tmp_path / "a.zip", _MRXS)
    with pytest.raises(OSError, match="No such file"):
        unpack(archive, Path("/proc/out"))


@settings(max_examples=6)
@given(st.data())
def test_damage_never_gets_through(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("damage")
    archive = packed(folder / "a.zip", _MRXS)
    content = bytearray(archive.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(4, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    archive.write_bytes(content[: data.draw(st.integers(4, len(content)))])
    cause = ""
    files: tuple[Path, ...] = ()
    try:
        files = unpack(archive, folder / "out").files
    except SlideError as error:
        cause = error.cause
    assert bool(cause) != bool(files)
    assert str(folder) not in cause
    assert all(folder / "out" in file.parents for file in files)
    assert {path.name for path in folder.iterdir()} <= {"a.zip", "out", "out.raw"}
