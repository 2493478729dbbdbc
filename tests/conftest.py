"""What all tests share: a small real model, a stand-in for one, and the folder of real data."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.testing import make_package, make_stub_package

# No deadline: the machine may be busy. Derandomised: a red run is the same run again.
settings.register_profile(
    "project",
    deadline=None,
    derandomize=True,
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.load_profile("project")

_DATA = Path(__file__).parents[2] / "shared" / "data"


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
def package(tmp_path_factory: pytest.TempPathFactory) -> ModelPackage:
    """A real Inception v3 that tells two colours apart; patches of 96 px."""
    return make_package(tmp_path_factory.mktemp("models") / "real")


@pytest.fixture(scope="session")
def stub_package(tmp_path_factory: pytest.TempPathFactory) -> ModelPackage:
    """A valid package without a network; patches of 64 px."""
    return make_stub_package(tmp_path_factory.mktemp("models") / "stub")


@pytest.fixture(scope="session")
def model_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where converted models of this session are kept."""
    return tmp_path_factory.mktemp("cache")
