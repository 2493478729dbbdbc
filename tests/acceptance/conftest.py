"""Real processes: the program as a user starts it, on a slide with a planted rectangle."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from acceptance_support import Wsi
from servers_support import postgres_server

from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.testing.models import NORMAL_COLOUR, TUMOUR_COLOUR
from wsi_pipeline.testing.slides import write_pyramid


@pytest.fixture(scope="session")
def wsi(package: ModelPackage, model_cache: Path) -> Wsi:
    return Wsi(package, model_cache)


@pytest.fixture(scope="session")
def slide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """3,000 × 2,400 px, glass around tissue with a tumour in it; about 1,000 tiles at stride 64."""
    rng = np.random.default_rng(3)
    image = np.full((2400, 3000, 3), 242, np.float64)
    image[300:2100, 300:2700] = NORMAL_COLOUR
    image[900:1500, 1200:2100] = TUMOUR_COLOUR
    image += rng.normal(0, 8, image.shape)
    path = tmp_path_factory.mktemp("slides") / "planted.tiff"
    write_pyramid(
        path,
        image.clip(0, 255).astype(np.uint8),
        compression="jpeg",
        tile=256,
        downsamples=(1, 2, 4, 8, 16),
    )
    return path


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def database_url(request: pytest.FixtureRequest) -> Iterator[str | None]:
    """Address of an empty PostgreSQL database; None stands for SQLite."""
    if request.param == "sqlite":
        yield None
        return
    with postgres_server() as server:
        yield server.database()
