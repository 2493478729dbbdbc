"""``wsi serve`` as a process that tests start, kill and start again."""

import os
import signal
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

from servers_support import free_port

TOKEN = "wsi_a_token_only_these_tests_know"


@dataclass
class Site:
    """``wsi serve`` with a worker, in a process group of its own; can be killed and comes back."""

    folder: Path
    cache: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        command = [sys.executable, "-m", "wsi_pipeline.cli", "serve", "--no-demo"]
        command += ["--port", str(self.port), "--data-dir", str(self.folder / "data")]
        command += ["--models-dir", str(self.folder / "models"), "--device", "cpu"]
        with (self.folder / "serve.log").open("ab") as log:
            self.process = subprocess.Popen(
                command,
                env={**os.environ, "WSI_TOKEN": TOKEN, "WSI_CACHE_DIR": str(self.cache)},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + 90
        while True:
            assert self.process.poll() is None, (self.folder / "serve.log").read_text()
            try:
                with urllib.request.urlopen(f"{self.url}/healthz", timeout=5):
                    return
            except OSError:
                assert time.monotonic() < deadline, (self.folder / "serve.log").read_text()
                time.sleep(0.1)

    def kill(self) -> None:
        """SIGKILL; whatever it started ends with it."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        while True:
            try:
                urllib.request.urlopen(f"{self.url}/healthz", timeout=5).close()
            except OSError:
                return
            time.sleep(0.02)

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
