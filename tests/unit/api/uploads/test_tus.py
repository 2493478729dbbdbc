"""The headers of tus, read and written."""

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.problems import ApiError
from api.uploads.tus import (
    UNNAMED,
    Checksum,
    name_in,
    number,
    parse_metadata,
    require_version,
    upload_headers,
)
from wsi_pipeline.errors import UsageError
from wsi_pipeline.service.upload import Upload, UploadState

_KEYS = st.text(
    st.characters(min_codepoint=33, max_codepoint=126, exclude_characters=","), min_size=1
)


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def status(call: object, *arguments: object) -> int:
    assert callable(call)
    with pytest.raises(ApiError) as refused:
        call(*arguments)
    return refused.value.kind.status


@given(st.dictionaries(_KEYS, st.text(max_size=40), max_size=8))
def test_metadata_survive_their_encoding(metadata: dict[str, str]) -> None:
    header = ",".join(f"{key} {encoded(value.encode())}" for key, value in metadata.items())
    assert parse_metadata(header) == metadata


@given(st.text(max_size=200))
def test_any_header_is_read_or_refused(header: str) -> None:
    for read in (
        parse_metadata,
        Checksum.parse,
        lambda text: number(text, "Upload-Offset"),
    ):
        refused = None
        try:
            read(header)
        except ApiError as error:
            refused = error
        assert refused is None or refused.kind.status == 400


def test_a_key_may_come_without_a_value() -> None:
    assert parse_metadata("is_confidential, filename YS5zdnM=") == {
        "is_confidential": "",
        "filename": "a.svs",
    }
    assert parse_metadata("") == parse_metadata("  ") == {}


@pytest.mark.parametrize(
    "header",
    [
        "filename YS5zdnM=,filename YS5zdnM=",
        "filename !!!",
        "filename YS5zdnM",
        "one two three",
        ",",
        "filename YQ==,",
        "datei\u00e4 YQ==",
        "filename " + "A" * 5000,
    ],
)
def test_bad_metadata_are_refused(header: str) -> None:
    assert status(parse_metadata, header) == 400


@pytest.mark.parametrize(
    ("metadata", "name"),
    [
        ({"filename": "a.svs", "name": "b.svs"}, "a.svs"),
        ({"filename": "", "name": "b.svs"}, "b.svs"),
        ({"type": "image/tiff"}, UNNAMED),
        ({}, UNNAMED),
    ],
)
def test_the_slide_is_called_as_the_client_says(metadata: dict[str, str], name: str) -> None:
    assert name_in(metadata) == name


def test_a_name_is_taken_as_it_is_or_refused() -> None:
    assert name_in({"filename": "Präparat 7.ndpi"}) == "Präparat 7.ndpi"
    with pytest.raises(UsageError, match="line end"):
        name_in({"filename": "a\n.svs"})


def test_a_value_that_is_no_text_is_well_formed_but_wrong() -> None:
    for raw in (b"\xff", "a\ud800.svs".encode("utf-8", "surrogatepass")):
        header = f"filename {base64.b64encode(raw).decode()}"
        assert status(parse_metadata, header) == 422


@pytest.mark.parametrize("algorithm", ["sha1", "sha256"])
def test_a_checksum_knows_its_bytes(algorithm: str) -> None:
    right = hashlib.new(algorithm, b"bytes").digest()
    checksum = Checksum.parse(f"{algorithm} {encoded(right)}")
    hashed = checksum.start()
    hashed.update(b"byt")
    assert not checksum.matches(hashed)
    hashed.update(b"es")
    assert checksum.matches(hashed)
    assert not checksum.matches(None)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "md5 " + encoded(hashlib.md5(b"").digest()),
        "sha1",
        "sha1 " + encoded(b"short"),
        "sha1 " + hashlib.sha1(b"").hexdigest(),
        "sha256 " + encoded(hashlib.sha1(b"").digest()),
        "SHA1 " + encoded(hashlib.sha1(b"").digest()),
    ],
)
def test_bad_checksums_are_refused(header: str) -> None:
    assert status(Checksum.parse, header) == 400


@pytest.mark.parametrize("header", [None, "", "-1", "1.0", "1e3", "0x1", "+1", "٣", "9" * 31])
def test_counts_of_bytes_are_plain_numbers(header: str | None) -> None:
    assert status(number, header, "Upload-Length") == 400


def test_a_count_of_bytes() -> None:
    assert number("0", "Upload-Length") == 0
    assert number("9" * 30, "Upload-Length") == 10**30 - 1


@pytest.mark.parametrize("header", [None, "", "0.2.2", "1.0.0,0.2.2"])
def test_another_version_is_refused(header: str | None) -> None:
    assert status(require_version, header) == 412
    require_version("1.0.0")


def test_what_is_told_of_an_upload() -> None:
    facts = ("i", "w", "a.svs", 10, 4, "", UploadState.OPEN, 784111777.0, None)
    upload = Upload(*facts)
    assert upload_headers(upload) == {
        "Tus-Resumable": "1.0.0",
        "Upload-Offset": "4",
        "Upload-Expires": "Sun, 06 Nov 1994 08:49:37 GMT",
    }
    done = Upload("i", "w", "a.svs", 10, 10, "", UploadState.COMPLETE, 784111777.0, "slide")
    assert upload_headers(done)["Wsi-Slide-Id"] == "slide"
    assert "Upload-Expires" not in upload_headers(done)
