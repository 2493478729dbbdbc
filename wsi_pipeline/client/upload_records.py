"""Which uploads were begun: one small file each, so that a new process can go on with them."""

import hashlib
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path

#: Nothing is resumed after so long, seconds: services forget unfinished uploads sooner.
_FORGET_SECONDS = 30 * 86400.0


@dataclass(frozen=True, slots=True)
class UploadKey:
    """What is sent where. Another size or time of change is another upload.

    Attributes:
        service: Address of the service.
        path: Absolute path of the slide.
        size_bytes: Length of what is sent.
        state: Identifies the bytes without reading them: times of change.
    """

    service: str
    path: str
    size_bytes: int
    state: str

    @property
    def name(self) -> str:
        """Of the file that remembers it."""
        facts = [self.service, self.path, self.size_bytes, self.state]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32] + ".json"


class UploadRecords:
    """Addresses of unfinished uploads in a folder. Holds no keys of the service.

    Args:
        folder: Made when something is remembered.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, key: UploadKey) -> str | None:
        """Where the upload goes on; None if it was not begun."""
        try:
            text = (self._folder / key.name).read_text(encoding="utf-8")
            address = json.loads(text)["upload"]
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None  # never begun, or a file nobody can read: begin again
        return address if isinstance(address, str) else None

    def put(self, key: UploadKey, address: str) -> None:
        """Remember an upload; the file appears whole, for its owner only."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._forget_old()
        facts = {"upload": address, "path": key.path, "size_bytes": key.size_bytes}
        new = self._folder / f".{key.name}.{os.getpid()}"
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(facts, file)
        new.replace(self._folder / key.name)

    def forget(self, key: UploadKey) -> None:
        """The upload is through, or the service no longer has it."""
        (self._folder / key.name).unlink(missing_ok=True)

    def _forget_old(self) -> None:
        limit = time.time() - _FORGET_SECONDS
        for file in self._folder.glob("*.json"):
            try:
                if file.stat().st_mtime < limit:
                    file.unlink()
            except FileNotFoundError:
                continue  # another process was faster
