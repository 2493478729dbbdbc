"""The files of a store that is being written: most are small, and made in memory first.

zarr writes each file of a folder through its event loop and a thread, beside its final name. A
result has about a hundred, of some hundred bytes each, and nobody sees them before all are there.
"""

from pathlib import Path

import zarr
from zarr.abc.buffer import Buffer
from zarr.storage import MemoryStore

_METADATA = "zarr.json"


class StoreFiles:
    """What a store will consist of, in memory until :meth:`write`.

    Args:
        folder: Of the store; made here.

    Attributes:
        root: The root group, in memory.

    Raises:
        FileExistsError: there is something.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        self._made: dict[str, Buffer] = {}
        self._written: dict[str, Buffer] = {}
        self.root = zarr.create_group(MemoryStore(self._made), zarr_format=3)

    def write(self) -> None:
        """Write what was made or changed since the last time, and give up the chunks."""
        for name, content in list(self._made.items()):
            if name.rpartition("/")[2] != _METADATA:
                del self._made[name]
            elif self._written.get(name) is content:
                continue
            else:
                self._written[name] = content
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.to_bytes())
