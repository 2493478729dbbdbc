"""Whatever happens to an upload, its offset tells the bytes that are right."""

import hashlib
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from uploads_support import Service, access_of, prepared, services_of

from api.dependencies import Services
from api.problems import ApiError
from api.uploads.append import Append
from api.uploads.tus import Checksum
from wsi_pipeline.service.access import Access
from wsi_pipeline.service.jobs.requests import ConflictError
from wsi_pipeline.service.quota import TooLargeError
from wsi_pipeline.service.tables import slides
from wsi_pipeline.service.upload import GoneError, UploadState
from wsi_pipeline.service.upload_files import LockedError

_LENGTH = 5_000


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    with prepared(tmp_path / "data") as made:
        yield made


@pytest.fixture
def services(service: Service) -> Iterator[Services]:
    with services_of(service) as opened:
        yield opened


@pytest.fixture
def lab(service: Service) -> Access:
    return access_of(service)


def checksum(data: bytes, *, right: bool = True) -> Checksum:
    digest = hashlib.sha1(data if right else data + b"x").digest()
    return Checksum.parse(f"sha1 {b64encode(digest).decode()}")


def machine(services: Services, service: Service, lab: Access) -> type[RuleBasedStateMachine]:
    """Requests to one upload, one after the other, and everything that ends them early."""

    class Uploading(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.upload = services.uploads.create(lab, "a", _LENGTH)
            self.data = hashlib.shake_256(self.upload.id.encode()).digest(_LENGTH)
            self.slides = service.count(slides)
            self.offset = 0
            self.over = False

        def append(self, check: Checksum | None = None) -> Append:
            return Append(services, lab, self.upload, checksum=check)

        def piece(self, size: int) -> bytes:
            return self.data[self.offset : self.offset + size]

        @precondition(lambda self: not self.over and self.offset < _LENGTH)
        @rule(sizes=st.lists(st.integers(0, 900), max_size=4), counts=st.booleans())
        def send(self, sizes: list[int], counts: bool) -> None:
            append = self.append()
            append.begin(self.offset)
            for size in sizes:
                append.write(self.piece(size))
                self.offset = min(_LENGTH, self.offset + size)
                if counts:
                    append.count()
            append.finish()
            append.close()

        @precondition(lambda self: not self.over and self.offset < _LENGTH)
        @rule(size=st.integers(1, 2000), right=st.booleans())
        def send_with_checksum(self, size: int, right: bool) -> None:
            piece = self.piece(size)
            append = self.append(checksum(piece, right=right))
            append.begin(self.offset)
            append.write(piece)
            append.count()
            if right:
                append.finish()
                self.offset += len(piece)
            else:
                with pytest.raises(ApiError) as refused:
                    append.finish()
                assert refused.value.kind.status == 460
            append.close()

        @precondition(lambda self: not self.over and self.offset < _LENGTH)
        @rule(size=st.integers(1, 900), noise=st.integers(0, 900), checked=st.booleans())
        def killed(self, size: int, noise: int, checked: bool) -> None:
            """Bytes that were written and not counted, some of them wrong."""
            append = self.append(checksum(b"") if checked else None)
            append.begin(self.offset)
            append.write(self.piece(size)[: _LENGTH - self.offset - 1])
            append._open.write(b"?" * noise)
            append.close()

        @precondition(lambda self: not self.over and self.offset < _LENGTH)
        @rule(size=st.integers(0, 900), checked=st.booleans())
        def line_broke(self, size: int, checked: bool) -> None:
            piece = self.piece(size)
            append = self.append(checksum(self.data) if checked else None)
            append.begin(self.offset)
            append.write(piece)
            append.keep()
            append.close()
            self.offset += 0 if checked else len(piece)

        @rule(wrong=st.integers(0, _LENGTH + 1))
        def send_from_elsewhere(self, wrong: int) -> None:
            if wrong == self.offset and not self.over and self.offset < _LENGTH:
                return
            append = self.append()
            with pytest.raises(GoneError if self.over else ConflictError):
                append.begin(wrong)
            append.close()

        @precondition(lambda self: not self.over and self.offset < _LENGTH)
        @rule(more=st.integers(1, 100))
        def send_too_much(self, more: int) -> None:
            append = self.append()
            append.begin(self.offset)
            with pytest.raises(TooLargeError):
                append.write(bytes(_LENGTH - self.offset + more))
            append.keep()
            append.close()

        @precondition(lambda self: not self.over and self.offset < _LENGTH)
        @rule()
        def send_while_another_does(self) -> None:
            with services.upload_files.open(self.upload.id):
                append = self.append()
                with pytest.raises(LockedError):
                    append.begin(self.offset)
                append.close()

        @precondition(lambda self: not self.over and self.offset < _LENGTH)
        @rule(size=st.integers(1, 900), expires=st.booleans())
        def end(self, size: int, expires: bool) -> None:
            """Given up, or run out of time, while somebody writes."""
            append = self.append()
            append.begin(self.offset)
            append.write(self.piece(size))
            if expires:
                services.uploads.extend(lab, self.upload, -1)
                assert services.uploads.expire() == [self.upload.id]
            else:
                services.uploads.terminate(lab, self.upload.id)
            with pytest.raises(GoneError):
                append.finish()
            append.close()
            services.upload_files.sweep(services.uploads.spooled)
            self.over = True

        @invariant()
        def what_counts_is_right(self) -> None:
            path = services.upload_files.path(self.upload.id)
            row = service.upload_row(self.upload.id)
            assert row["offset"] == self.offset
            if self.over:
                assert not path.exists()
                return
            if self.offset:
                assert path.read_bytes()[: self.offset] == self.data[: self.offset]
            complete = self.offset == _LENGTH
            assert (row["state"] == UploadState.COMPLETE) is complete
            assert (row["slide_id"] is not None) is complete
            assert service.count(slides) == self.slides + complete
            if complete:
                assert path.read_bytes() == self.data

    return Uploading


def test_the_offset_is_the_truth(services: Services, service: Service, lab: Access) -> None:
    run_state_machine_as_test(
        machine(services, service, lab),
        settings=settings(max_examples=40, stateful_step_count=15),
    )


def test_the_last_bytes_may_count_before_the_body_ends(
    services: Services, service: Service, lab: Access
) -> None:
    """As of a slow line, whose end comes a moment after the bytes."""
    append = Append(services, lab, services.uploads.create(lab, "a", 100))
    append.begin(0)
    append.write(bytes(100))
    append.count()
    assert append.upload.state is UploadState.COMPLETE
    append.finish()
    append.keep()
    with pytest.raises(TooLargeError):
        append.write(b"x")
    append.close()
    assert service.count(slides) == 1


def test_room_is_asked_for_as_bytes_come(tmp_path: Path) -> None:
    with (
        prepared(tmp_path, max_upload_bytes=10_000, quota_bytes=9_000) as service,
        services_of(service) as services,
    ):
        lab = access_of(service)
        upload = services.uploads.create(lab, "a", 0)
        append = Append(services, lab, upload, counted=False, grows=True)
        append.begin(0)
        append.write(bytes(100))
        assert append.upload.length > 100, "asked ahead"
        append.write(bytes(8_900))
        assert append.upload.length == 9_000
        with pytest.raises(TooLargeError):
            append.write(b"x")
        append.finish()
        append.close()
        assert append.upload.state is UploadState.COMPLETE
        assert append.upload.length == 9_000
        assert services.upload_files.path(upload.id).stat().st_size == 9_000


def test_no_bytes_are_no_slide(services: Services, lab: Access) -> None:
    append = Append(services, lab, services.uploads.create(lab, "a", 0), counted=False, grows=True)
    append.begin(0)
    with pytest.raises(ApiError, match="empty"):
        append.finish()
    append.close()


def test_bytes_that_are_elsewhere_are_not_made_up(services: Services, lab: Access) -> None:
    upload = services.uploads.create(lab, "a", 100)
    upload = services.uploads.advance(lab, upload, 50, "/another/host")
    append = Append(services, lab, upload)
    with pytest.raises(ApiError, match="not on this server") as refused:
        append.begin(50)
    append.close()
    assert refused.value.kind.status == 503
