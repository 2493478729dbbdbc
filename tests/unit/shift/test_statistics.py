"""What a package keeps of its training data: measured, stored, read again, compared with."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from wsi_pipeline.errors import PackageError
from wsi_pipeline.model.package import TRAINING_FEATURES, ModelPackage, load_package
from wsi_pipeline.model.pinning import write_description, write_npz
from wsi_pipeline.shift.comparison import FEATURES, LEVEL, compare
from wsi_pipeline.shift.measuring import Measured, measure
from wsi_pipeline.shift.sampling import SAMPLE_VALUES
from wsi_pipeline.shift.statistics import (
    TrainingStatistics,
    read_statistics,
    write_statistics,
)

PER_UNIT = 20


def measured(units: int, seed: int, *, colour: float = 0.0, feature: float = 0.0) -> Measured:
    """Patches of slides that differ a little from each other; moved by so many deviations."""
    rng = np.random.default_rng(seed)
    unit = np.repeat(np.arange(units), PER_UNIT)
    samples = rng.normal(1, 0.1, (len(unit), SAMPLE_VALUES))
    samples += rng.normal(0, 0.05, (units, SAMPLE_VALUES))[unit]
    samples[:, :3] += 0.1 * colour
    samples[:, -1] = rng.normal(5, 0.3, len(unit))
    features = rng.normal(0, 1, (len(unit), 40)) + rng.normal(0, 0.3, (units, 40))[unit] + feature
    return Measured(
        samples.astype(np.float32), unit, np.arange(len(unit)) % 2, features.astype(np.float32)
    )


@pytest.fixture(scope="module")
def statistics() -> TrainingStatistics:
    found = measure("slide", measured(8, 1), measured(8, 2))
    assert found is not None
    return found


def with_statistics(
    package: ModelPackage, statistics: TrainingStatistics, folder: Path
) -> ModelPackage:
    folder.mkdir()
    for name in package.description.files:
        (folder / name).write_bytes((package.folder / name).read_bytes())
    write_statistics(folder, statistics)
    fields = package.description.model_dump(mode="json", exclude={"files"})
    return write_description(folder, fields)


def test_what_is_stored_is_read_again(
    statistics: TrainingStatistics, stub_package: ModelPackage, tmp_path: Path
) -> None:
    package = with_statistics(stub_package, statistics, tmp_path / "package")
    assert TRAINING_FEATURES in package.description.files
    assert package.knows_features
    assert package.run_head == "both"
    found = read_statistics(package)
    assert found is not None
    assert found.unit == "slide"
    assert found.patches == statistics.patches == 8 * PER_UNIT
    assert found.nuclei == pytest.approx(5, abs=0.1)
    for name, array in statistics.arrays().items():
        assert np.array_equal(found.arrays()[name], array), name
    other = measured(1, 9, colour=3)
    ours, theirs = (
        compare(one, other.appearance, np.ones(4, np.float32)) for one in (statistics, found)
    )
    assert ours.p_value == pytest.approx(theirs.p_value, rel=1e-3)
    assert (package.folder / TRAINING_FEATURES).stat().st_size < 300_000


def test_a_package_without_it_has_none(stub_package: ModelPackage) -> None:
    assert read_statistics(stub_package) is None
    assert stub_package.run_head == "classes"


@pytest.mark.parametrize("spoilt", ["revision", "basis", "units_colour", "appearance_covariance"])
def test_other_numbers_are_refused(
    statistics: TrainingStatistics, stub_package: ModelPackage, tmp_path: Path, spoilt: str
) -> None:
    package = with_statistics(stub_package, statistics, tmp_path / "package")
    arrays = statistics.arrays()
    arrays[spoilt] = -arrays[spoilt][..., :1]
    write_npz(package.folder / TRAINING_FEATURES, **arrays)
    package = write_description(
        package.folder, package.description.model_dump(mode="json", exclude={"files"})
    )
    with pytest.raises(PackageError, match="wsi models familiarise"):
        read_statistics(load_package(package.folder))


def asked(statistics: TrainingStatistics, slides: Measured) -> list[float]:
    """p-values of slides."""
    assert statistics.features is not None
    assert slides.features is not None
    distances = statistics.features.density.distances(slides.features)
    found = [
        compare(statistics, slides.appearance[slides.unit == one], distances[slides.unit == one])
        for one in np.unique(slides.unit)
    ]
    return [value for one in found if (value := one.p_value) is not None]


def test_own_slides_seldom_raise_an_alarm() -> None:
    values: list[float] = []
    for seed in range(20):
        found = measure("slide", measured(5, seed), measured(4, seed + 100))
        assert found is not None
        values += asked(found, measured(10, seed + 200))
    assert len(values) == 200
    assert np.mean(np.array(values) <= LEVEL) <= 0.05
    assert np.mean(np.array(values) <= 0.5) > 0.2


@pytest.mark.parametrize("moved", [{"colour": 6.0}, {"feature": 3.0}])
def test_foreign_slides_do(statistics: TrainingStatistics, moved: dict[str, float]) -> None:
    assert max(asked(statistics, measured(5, 300, **moved))) <= LEVEL
    slides = measured(1, 301, **moved)
    assert statistics.features is not None
    assert slides.features is not None
    distances = statistics.features.density.distances(slides.features)
    found = compare(statistics, slides.appearance, distances)
    assert found.unlike
    assert found.foremost[0] == ("colour" if "colour" in moved else FEATURES)
    assert found.distance is not None
    assert found.distance > 1


def test_what_is_not_known_is_left_out(statistics: TrainingStatistics) -> None:
    slides = measured(1, 400)
    assert set(compare(statistics, slides.appearance, None).kinds) == {
        "colour",
        "focus",
        "texture",
    }
    unknown = np.full((5, 11), np.nan, np.float32)
    nothing = compare(statistics, unknown, np.full(3, np.nan, np.float32))
    assert (nothing.p_value, nothing.distance, dict(nothing.kinds)) == (None, None, {})
    looks_only = measure("slide", *[without(measured(4, seed)) for seed in (1, 2)])
    assert looks_only is not None
    assert looks_only.features is None


def without(one: Measured) -> Measured:
    return dataclasses.replace(one, features=None)


def test_hardly_any_tissue_gives_nothing() -> None:
    blank = measured(4, 1)
    samples: NDArray[np.float32] = np.full_like(blank.samples, np.nan)
    assert measure("slide", dataclasses.replace(blank, samples=samples), blank) is None
