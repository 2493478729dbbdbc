"""What a runtime made of the reference is kept, and believed only while it is repeated."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from wsi_pipeline.errors import RuntimeRejectedError, UnsteadyRuntimeError
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.model.reference_check import admit, admitted
from wsi_pipeline.testing import FakePredictor, red_share


class Counting:
    """Fake models that are ``off`` from the truth, and how many patches they were asked for."""

    def __init__(self, package: ModelPackage) -> None:
        self._side = package.description.patch_px
        self.asked = 0

    def predictor(self, off: float = 0.0, batch_size: int = 4) -> FakePredictor:
        def predict(patches: NDArray[np.uint8]) -> NDArray[np.float32]:
            self.asked += len(patches)
            return np.asarray((red_share(patches) + np.float32(off)).clip(0, 1), np.float32)

        return FakePredictor(predict, batch_size=batch_size, patch_px=self._side)


@pytest.fixture
def counting(stub_package: ModelPackage) -> Counting:
    return Counting(stub_package)


def test_the_second_time_only_the_first_patches_are_computed(
    stub_package: ModelPackage, counting: Counting, tmp_path: Path
) -> None:
    everything = len(stub_package.reference()[0])
    first = admit(stub_package, counting.predictor(), tmp_path)
    assert counting.asked == 4 + everything
    second = admit(stub_package, counting.predictor(), tmp_path)
    assert counting.asked == 4 + everything + 4
    assert np.array_equal(first, second)


def test_another_batch_size_is_another_admission(
    stub_package: ModelPackage, counting: Counting, tmp_path: Path
) -> None:
    everything = len(stub_package.reference()[0])
    admit(stub_package, counting.predictor(), tmp_path)
    admit(stub_package, counting.predictor(batch_size=1), tmp_path)
    assert counting.asked == 4 + 1 + 2 * everything


def test_a_model_that_changed_is_computed_anew_and_rejected(
    stub_package: ModelPackage, counting: Counting, tmp_path: Path
) -> None:
    admit(stub_package, counting.predictor(), tmp_path)
    changed = counting.predictor(off=0.4)
    with pytest.raises(RuntimeRejectedError):
        admit(stub_package, changed, tmp_path)
    assert changed.closed


def test_what_is_kept_is_held_to_the_tolerance_too(
    stub_package: ModelPackage, counting: Counting, tmp_path: Path
) -> None:
    """A rejected model leaves nothing behind that a later start could believe."""
    for _ in range(2):
        with pytest.raises(RuntimeRejectedError):
            admit(stub_package, counting.predictor(off=0.4), tmp_path)
    assert not list(tmp_path.rglob("*.json"))


@pytest.mark.parametrize("rubbish", ["", "{", "[1, 2]", "null"])
def test_a_damaged_record_costs_time_only(
    stub_package: ModelPackage, counting: Counting, tmp_path: Path, rubbish: str
) -> None:
    admit(stub_package, counting.predictor(), tmp_path)
    [record] = tmp_path.rglob("*.json")
    record.write_text(rubbish)
    admit(stub_package, counting.predictor(), tmp_path)
    assert counting.asked == 2 * (4 + len(stub_package.reference()[0]))


def test_a_cache_that_cannot_be_written_is_no_failure(
    stub_package: ModelPackage, counting: Counting, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    admit(stub_package, counting.predictor(), tmp_path / "file")
    assert counting.asked == 4 + len(stub_package.reference()[0]), "the check itself was made"


class Loading:
    """Loads fake models of two parts, some of which disagree.

    Args:
        package: The model's.
        unsteady: How many of the first models loaded.
    """

    def __init__(self, package: ModelPackage, unsteady: int) -> None:
        self._side, self._unsteady = package.description.patch_px, unsteady
        self.loaded: list[FakePredictor] = []

    def __call__(self) -> FakePredictor:
        def other(patches: NDArray[np.uint8]) -> NDArray[np.float32]:
            return 1 - red_share(patches)

        part = other if len(self.loaded) < self._unsteady else red_share
        self.loaded.append(FakePredictor(batch_size=4, patch_px=self._side, parts=[part]))
        return self.loaded[-1]


@pytest.mark.parametrize("admitted_before", [False, True])
def test_a_model_whose_parts_disagree_is_loaded_once_more(
    stub_package: ModelPackage, tmp_path: Path, admitted_before: bool
) -> None:
    if admitted_before:
        admit(stub_package, Loading(stub_package, 0)(), tmp_path)
    load = Loading(stub_package, unsteady=1)
    predictor, values = admitted(load, lambda loaded: admit(stub_package, loaded, tmp_path))
    assert [one.closed for one in load.loaded] == [True, False]
    assert predictor is load.loaded[1]
    assert np.array_equal(values, stub_package.reference()[1])


def test_a_model_whose_parts_disagree_again_is_refused(
    stub_package: ModelPackage, tmp_path: Path
) -> None:
    load = Loading(stub_package, unsteady=2)
    with pytest.raises(UnsteadyRuntimeError, match="different answers for the same patches"):
        admitted(load, lambda loaded: admit(stub_package, loaded, tmp_path))
    assert all(one.closed for one in load.loaded)
    assert not list(tmp_path.rglob("*.json"))
