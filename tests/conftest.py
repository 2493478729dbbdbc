"""What all tests share: a small real model, a stand-in for one, and the folder of real data."""

import faulthandler
import fcntl
import logging
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from wsi_pipeline.model.package import ModelPackage, load_package
from wsi_pipeline.native import leave_cores_to_others
from wsi_pipeline.testing import make_package, make_stub_package
from wsi_pipeline.testing.kinds import make_kinds_package

# Before torch is imported, here and in what tests start: they run two at a time.
leave_cores_to_others()

# No deadline: the machine may be busy. Derandomised: a red run is the same run again.
settings.register_profile(
    "project",
    deadline=None,
    derandomize=True,
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.load_profile("project")

#: Where processes that run tests write their stacks when a fault of compiled code ends them.
_CRASHES = pytest.StashKey[Path]()
_DATA = Path(__file__).parents[2] / "shared" / "data"


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Keep the stacks of a crash: of a worker that is gone, nothing else tells what it did."""
    told = getattr(config, "workerinput", None)
    if told is None:
        config.stash[_CRASHES] = Path(tempfile.mkdtemp(prefix="crashes-"))
    else:
        file = Path(told["crashes"]) / f"{told['workerid']}-{os.getpid()}.txt"
        faulthandler.enable(file.open("w"))


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker where to write."""
    node.workerinput["crashes"] = str(node.config.stash[_CRASHES])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show the stacks of workers that crashed."""
    folder = terminalreporter.config.stash.get(_CRASHES, None)
    for file in sorted(folder.iterdir()) if folder is not None else ():
        lines = [line for line in file.read_text().splitlines() if _says_something(line)]
        if lines:
            terminalreporter.section(f"crash of {file.stem}")
            terminalreporter.write_line("\n".join(lines[:100]))
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)


def _says_something(line: str) -> bool:
    return not any(part in line for part in ("/pluggy/", "/_pytest/", "/execnet/", "Extension mod"))


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    """A handler that a test's program set up writes to a stream that is closed after the test."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture(scope="session")
def data() -> Path:
    """Real slides nobody here made; they are not part of the repository."""
    if not _DATA.is_dir():
        pytest.skip("the folder of real slides, ../shared/data, is not here")
    return _DATA


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A folder of this run that all its processes share."""
    own = tmp_path_factory.getbasetemp()
    return own if worker_id == "master" else own.parent


@pytest.fixture(scope="session")
def package(shared: Path) -> ModelPackage:
    """A real Inception v3 that tells two colours apart; patches of 96 px. Made once in a run."""
    return _made_once(shared / "real-model", make_package)


@pytest.fixture(scope="session")
def kinds_package(shared: Path) -> ModelPackage:
    """A real small model of the four classes of synthetic slides. Made once in a run."""
    return _made_once(shared / "kinds-model", make_kinds_package)


@pytest.fixture(scope="session")
def lymph_node_package(shared: Path) -> ModelPackage:
    """The package that comes with the program. Made once in a run: its reference is drawn."""
    from wsi_pipeline.lymph_node.package import build_lymph_node_package

    return _made_once(
        shared / "lymph-node", lambda folder: build_lymph_node_package(folder, version="1")
    )


def _made_once(folder: Path, make: Callable[[Path], ModelPackage]) -> ModelPackage:
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return load_package(folder) if folder.exists() else make(folder)


@pytest.fixture(scope="session")
def stub_package(tmp_path_factory: pytest.TempPathFactory) -> ModelPackage:
    """A valid package without a network; patches of 64 px."""
    return make_stub_package(tmp_path_factory.mktemp("models") / "stub")


@pytest.fixture(scope="session")
def model_cache(shared: Path) -> Path:
    """Where converted models of this run are kept: each is converted once, under a lock."""
    folder = shared / "model-cache"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def confined(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Skips where the kernel denies what confines TorchScript; importing it is refused there."""
    folder = tmp_path_factory.mktemp("confined")
    program = "import sys, pathlib; from wsi_pipeline.importing.confinement import confine; "
    program += "confine(pathlib.Path(sys.argv[1]), [], memory=2**40, file_bytes=2**20)"
    command = [sys.executable, "-c", program, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "UnavailableError" in done.stderr:
        pytest.skip(f"this machine cannot confine a process: {done.stderr.splitlines()[-1]}")
    assert done.returncode == 0, done.stderr
