"""Slides whose features are numbers: of tumour slides a few tiles differ."""

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

MakeCohort = Callable[..., Path]


@pytest.fixture
def make_cohort(tmp_path: Path) -> MakeCohort:
    """Writes features and a table: ``make_cohort(slides, survival=False, classes=2)``."""

    def make(
        slides: int = 24, *, survival: bool = False, classes: int = 2, tested: int = 0
    ) -> Path:
        rng = np.random.default_rng(7)
        rows = ["slide,time,event,patient,split"] if survival else ["slide,label,patient,split"]
        for number in range(slides):
            label = number % classes
            values = rng.normal(0, 1, (int(rng.integers(20, 40)), 8)).astype(np.float32)
            values[:3, label] += 5 * (label > 0)
            with h5py.File(tmp_path / f"s{number}.h5", "w") as file:
                file["features"] = values
                file["coords"] = rng.integers(0, 5000, (len(values), 2))
            told = f"{10 - 6 * label + rng.random():.3f},{int(number % 3 > 0)}"
            if not survival:
                told = ("normal", "tumour", "other")[label]
            split = "test" if number >= slides - tested else ""
            rows.append(f"s{number},{told},patient {number},{split}")
        table = tmp_path / "labels.csv"
        table.write_text("\n".join(rows) + "\n")
        return table

    return make
