"""TIFF files whose directories lie: about which comes next, and how large their images are."""

import struct
from dataclasses import dataclass

IMAGE_WIDTH, IMAGE_LENGTH, TILE_WIDTH, TILE_LENGTH = 256, 257, 322, 323
SUB_DIRECTORIES = 330
#: A tag of the slides of these tests that nothing depends on.
_SPARE = 305
_LONG = 4


@dataclass
class Forgery:
    """A classic, little-endian TIFF file to be altered.

    Attributes:
        data: Its bytes.
    """

    data: bytearray

    @classmethod
    def of(cls, data: bytes) -> "Forgery":
        assert data[:4] == b"II*\0"
        return cls(bytearray(data))

    def directories(self) -> list[int]:
        """Offsets of the directories of an unaltered file."""
        found = []
        (offset,) = struct.unpack_from("<I", self.data, 4)
        while offset:
            found.append(offset)
            (offset,) = struct.unpack_from("<I", self.data, self._after(offset))
        return found

    def let_follow(self, directory: int, following: int) -> "Forgery":
        """Name another directory as the next one."""
        struct.pack_into("<I", self.data, self._after(directory), following)
        return self

    def state(self, directory: int, tag: int, value: int) -> "Forgery":
        """Give a tag that is there another value."""
        struct.pack_into("<HHII", self.data, self._entry(directory, tag), tag, _LONG, 1, value)
        return self

    def put_below(self, directory: int, *offsets: int) -> "Forgery":
        """Name directories in a directory's SubIFDs."""
        value = offsets[0]
        if len(offsets) > 1:
            value = self.append(struct.pack(f"<{len(offsets)}I", *offsets))
        (count,) = struct.unpack_from("<H", self.data, directory)
        start, end = directory + 2, directory + 2 + 12 * count
        entries = [bytes(self.data[at : at + 12]) for at in range(start, end, 12)]
        named = struct.pack("<HHII", SUB_DIRECTORIES, _LONG, len(offsets), value)
        kept = [entry for entry in entries if struct.unpack_from("<H", entry)[0] != _SPARE]
        assert len(kept) == count - 1
        # In the order of their tags, as the format wants it.
        ordered = sorted([*kept, named], key=lambda entry: struct.unpack_from("<H", entry)[0])
        self.data[start:end] = b"".join(ordered)
        return self

    def append(self, data: bytes) -> int:
        """Add bytes; where they begin."""
        self.data += bytes(len(self.data) % 2)
        place = len(self.data)
        self.data += data
        return place

    def chain(self, length: int) -> int:
        """Add so many small directories, each naming the next; where the first one is."""
        start = len(self.data) + len(self.data) % 2
        parts = []
        for number in range(1, length + 1):
            following = 0 if number == length else start + 18 * number
            parts.append(struct.pack("<HHHIII", 1, 254, _LONG, 1, 1, following))
        assert self.append(b"".join(parts)) == start
        return start

    def _after(self, directory: int) -> int:
        (count,) = struct.unpack_from("<H", self.data, directory)
        return directory + 2 + 12 * int(count)

    def _entry(self, directory: int, tag: int) -> int:
        for at in range(directory + 2, self._after(directory), 12):
            if struct.unpack_from("<H", self.data, at)[0] == tag:
                return at
        raise KeyError(tag)


def liars(slide: bytes) -> dict[str, bytes]:
    """Files made of a slide with two levels: what is wrong with each, and its bytes."""

    def forged() -> tuple[Forgery, int, int]:
        forgery = Forgery.of(slide)
        first, second = forgery.directories()
        return forgery, first, second

    made: dict[str, bytearray] = {}

    def keep(name: str, forgery: Forgery) -> None:
        made[name] = forgery.data

    forgery, first, second = forged()
    keep("next is itself", forgery.let_follow(first, first))
    forgery, *_ = forged()
    keep("last leads to the first", forgery.let_follow(second, first))
    forgery, *_ = forged()
    keep("below is itself", forgery.put_below(first, first))
    forgery, *_ = forged()
    keep("below lies what is above", forgery.put_below(first, second).put_below(second, first))
    forgery, *_ = forged()
    keep("a ring below", forgery.put_below(first, second).let_follow(second, second))
    forgery, *_ = forged()
    keep("endless", forgery.let_follow(second, forgery.chain(100_000)))
    forgery, *_ = forged()
    keep("many below", forgery.put_below(first, *[second] * 200_000))
    for name, width, length in (
        ("wide", 2**31, 600),
        ("high", 800, 2**31),
        ("huge", 2**31, 2**31),
        ("as large as can be", 2**32 - 1, 2**32 - 1),
    ):
        for which in (0, 1):
            forgery, *both = forged()
            stated = forgery.state(both[which], IMAGE_WIDTH, width)
            keep(f"{name}, level {which}", stated.state(both[which], IMAGE_LENGTH, length))
    return {name: bytes(data) for name, data in made.items()}
