"""Images of two colours, and a model that tells their share."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wsi_pipeline.images.collection import LabelledImage
from wsi_pipeline.testing.models import NORMAL_COLOUR, TUMOUR_COLOUR

MakeImages = Callable[..., list[LabelledImage]]


@pytest.fixture
def make_images(tmp_path: Path) -> MakeImages:
    """So many images of 64 px; of image ``i`` the first ``i`` columns have the tumour's colour."""

    def make(count: int, folder: str = "images") -> list[LabelledImage]:
        place = tmp_path / folder
        place.mkdir(exist_ok=True)
        images = []
        for index in range(count):
            pixels = np.full((64, 64, 3), NORMAL_COLOUR, np.uint8)
            pixels[:, :index] = TUMOUR_COLOUR
            path = place / f"{index:03d}.png"
            Image.fromarray(pixels).save(path)
            images.append(LabelledImage(path))
        return images

    return make
