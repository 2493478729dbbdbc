"""Curves are written as TensorBoard's own files are: records whose checksums hold."""

import struct
from collections.abc import Iterator
from pathlib import Path

import google_crc32c

from wsi_pipeline.training.logs import Logs


def records(path: Path) -> Iterator[bytes]:
    """The messages of an event file, checksums checked."""
    content = path.read_bytes()

    def unmasked(stored: bytes) -> int:
        turned: int = (struct.unpack("<I", stored)[0] - 0xA282EAD8) & 0xFFFFFFFF
        return (turned >> 17 | turned << 15) & 0xFFFFFFFF

    while content:
        length = struct.unpack("<Q", content[:8])[0]
        message = content[12 : 12 + length]
        assert unmasked(content[8:12]) == google_crc32c.value(content[:8])
        assert unmasked(content[12 + length : 16 + length]) == google_crc32c.value(message)
        yield message
        content = content[16 + length :]


def test_points_are_records(tmp_path: Path) -> None:
    with Logs(tmp_path / "logs", 0) as logs:
        logs.write(300, {"loss/step": 0.5})
    (file,) = (tmp_path / "logs").iterdir()
    assert ".tfevents." in file.name
    version, point = records(file)
    assert version.endswith(b"\x1a\x0dbrain.Event:2")
    # wall_time, step 300, summary { value { tag: "loss/step" simple_value: 0.5 } }
    assert point[9:] == b"\x10\xac\x02\x2a\x12\x0a\x10\x0a\x09loss/step\x15\x00\x00\x00\x3f"


def test_going_on_hides_what_comes_again(tmp_path: Path) -> None:
    with Logs(tmp_path, 7):
        pass
    _, start = records(next(tmp_path.iterdir()))
    assert start[9:] == b"\x10\x08\x3a\x02\x08\x01"  # step 8, session_log { status: START }


def test_followers_write_nothing(tmp_path: Path) -> None:
    with Logs(tmp_path / "logs", 0, active=False) as logs:
        logs.write(1, {"loss": 1.0})
    assert not (tmp_path / "logs").exists()
