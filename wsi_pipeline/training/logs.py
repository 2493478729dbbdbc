"""Curves in TensorBoard's format: ``tensorboard --logdir`` shows them, also while they grow.

An event file is a sequence of records, each a length, a checksum of it, a message and a checksum
of that (TensorFlow's ``record_writer.h``); messages are protocol buffers of ``event.proto``. Both
are a few lines, and save a dependency.
"""

import os
import socket
import struct
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import google_crc32c

_VERSION = b"brain.Event:2"
_VARINT, _DOUBLE, _BYTES, _FLOAT = 0, 1, 2, 5


class Logs:
    """An event file of one process's part of a training.

    A log that cannot be written stops no training: the checkpoint says where the disk is full.

    Args:
        folder: Made if it is missing; earlier parts stay beside this one.
        step: What this part goes on from; later points of earlier parts are hidden.
        active: Whether to write at all.
    """

    def __init__(self, folder: Path, step: int, *, active: bool = True) -> None:
        self._file: BinaryIO | None = None
        if not active:
            return
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            # Two parts may begin within the second that names them.
            name = f"events.out.tfevents.{int(time.time())}.{socket.gethostname()}.{os.getpid()}"
            self._file = (folder / name).open("ab")
            self._record(_event(_field(3, _BYTES, _VERSION)))
            if step:
                start = _field(1, _VARINT, 1)
                self._record(_event(_field(2, _VARINT, step + 1) + _field(7, _BYTES, start)))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file is not None:
            with suppress(OSError):
                self._file.close()

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Add points to curves.

        Args:
            step: Steps of the whole training so far.
            values: By curve.
        """
        points = b"".join(
            _field(1, _BYTES, _field(1, _BYTES, tag.encode()) + _field(2, _FLOAT, value))
            for tag, value in values.items()
        )
        self._record(_event(_field(2, _VARINT, step) + _field(5, _BYTES, points)))

    def _record(self, message: bytes) -> None:
        if self._file is None:
            return
        length = struct.pack("<Q", len(message))
        with suppress(OSError):
            self._file.write(length + _checksum(length) + message + _checksum(message))
            self._file.flush()


def _event(fields: bytes) -> bytes:
    return _field(1, _DOUBLE, time.time()) + fields


def _field(number: int, kind: int, value: float | bytes) -> bytes:
    """One field of a protocol buffer."""
    key = _varint(number << 3 | kind)
    if isinstance(value, bytes):
        return key + _varint(len(value)) + value
    if kind == _VARINT:
        return key + _varint(int(value))
    return key + struct.pack("<d" if kind == _DOUBLE else "<f", value)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def _checksum(content: bytes) -> bytes:
    """CRC32C, masked as TensorFlow does so that checksums of checksums stay useful."""
    crc = google_crc32c.value(content)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)
