"""No runtime is used that does not reproduce the package's reference."""

import logging
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from wsi_pipeline.errors import PackageError, RuntimeRejectedError, UsageError
from wsi_pipeline.model import runtime as module
from wsi_pipeline.model.admission import load_predictor
from wsi_pipeline.model.cascade import CascadePredictor
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.model.pinning import write_description
from wsi_pipeline.model.predictor import Predictor, RuntimeInfo, predict_all
from wsi_pipeline.model.runtime import RuntimeRequest, resolve_device
from wsi_pipeline.testing import FakePredictor, make_stub_package, red_share

Errors = Callable[[dict[str, float]], list[FakePredictor]]


@pytest.fixture(autouse=True)
def cache_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The requests' relative cache folder is the test's own."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def openvino(monkeypatch: pytest.MonkeyPatch) -> Errors:
    """Puts fakes in OpenVINO's place: by precision, how far each is from the truth."""

    def use(errors: dict[str, float]) -> list[FakePredictor]:
        loaded: list[FakePredictor] = []

        def load(
            package: ModelPackage,
            precision: str,
            *_: object,
            batch_size: int | None = None,
            **__: object,
        ) -> FakePredictor:
            def predict(patches: NDArray[np.uint8]) -> NDArray[np.float32]:
                off = red_share(patches) + np.float32(errors[precision])
                return np.asarray(off.clip(0, 1), np.float32)

            side = package.description.patch_px
            fake = FakePredictor(
                predict, batch_size=batch_size or 8, patch_px=side, precision=precision
            )
            loaded.append(fake)
            return fake

        monkeypatch.setattr(module, "OpenVinoPredictor", load)
        monkeypatch.setattr(module, "cpu_precisions", lambda: frozenset(errors))
        return loaded

    return use


def request(**changed: Any) -> RuntimeRequest:
    return replace(RuntimeRequest("cpu", "auto", Path("cache")), **changed)


def load(package: ModelPackage, **changed: Any) -> Predictor:
    return load_predictor(package, request(**changed), threshold=0.5)


def test_auto_is_a_cascade_of_what_is_admitted(
    stub_package: ModelPackage, openvino: Errors
) -> None:
    openvino({"int8": 0.02, "bf16": 0.01, "fp32": 0.0})
    predictor = load(stub_package)
    assert isinstance(predictor, CascadePredictor)
    assert predictor.info.precision == "int8>bf16>fp32"
    patches, expected = stub_package.reference()
    # Whatever int8 thinks, every decision is fp32's.
    assert np.array_equal(predict_all(predictor, patches) >= 0.5, expected >= 0.5)


def test_auto_leaves_out_what_is_rejected_and_says_so(
    stub_package: ModelPackage, openvino: Errors, caplog: pytest.LogCaptureFixture
) -> None:
    loaded = openvino({"int8": 0.9, "bf16": 0.01, "fp32": 0.0})
    with caplog.at_level(logging.WARNING):
        predictor = load(stub_package)
    assert predictor.info.precision == "bf16>fp32"
    assert "in int8 differs from the reference by" in caplog.text
    assert [fake.info.precision for fake in loaded if fake.closed] == ["int8"]


def test_auto_falls_back_to_fp32_alone(stub_package: ModelPackage, openvino: Errors) -> None:
    openvino({"int8": 0.9, "bf16": 0.9, "fp32": 0.0})
    assert load(stub_package).info.precision == "fp32"


def test_auto_uses_only_what_the_cpu_is_fast_at(
    stub_package: ModelPackage, openvino: Errors
) -> None:
    loaded = openvino({"fp32": 0.0})
    assert load(stub_package).info.precision == "fp32"
    assert len(loaded) == 1


def test_auto_uses_only_what_the_package_tolerates(tmp_path: Path, openvino: Errors) -> None:
    openvino({"int8": 0.0, "bf16": 0.0, "fp32": 0.0})
    package = make_stub_package(tmp_path / "strict", tolerance={"fp32": 1e-4})
    assert load(package).info.precision == "fp32"
    with pytest.raises(RuntimeRejectedError, match="states no tolerance"):
        load(package, precision="int8")


@pytest.mark.parametrize("precision", ["auto", "fp32"])
def test_fp32_itself_is_held_to_the_reference(
    stub_package: ModelPackage, openvino: Errors, precision: str
) -> None:
    loaded = openvino({"int8": 0.9, "bf16": 0.9, "fp32": 0.01})
    with pytest.raises(RuntimeRejectedError, match=r"fp32 differs .* by 0\.01") as caught:
        load(stub_package, precision=precision)
    assert caught.value.package == "test-model"
    assert all(fake.closed for fake in loaded)


def test_nan_is_rejected(stub_package: ModelPackage, openvino: Errors) -> None:
    openvino({"fp32": np.nan})
    with pytest.raises(RuntimeRejectedError):
        load(stub_package, precision="fp32")


def test_a_real_network_with_a_wrong_reference_is_rejected(
    package: ModelPackage, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(package.folder, tmp_path / "wrong"))
    patches, probabilities = package.reference()
    probabilities[3] = 1 - probabilities[3]
    np.savez(folder / "reference.npz", patches=patches, probabilities=probabilities)
    facts = package.description.model_dump(mode="json", exclude={"files"})
    with pytest.raises(RuntimeRejectedError, match="differs from the reference"):
        load(write_description(folder, facts), runtime="torch")


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"device": "tpu"}, "choose auto, cpu or cuda:N"),
        ({"precision": "fp16"}, "fp16 is for GPUs"),
        (
            {"runtime": "openvino", "device": "cuda:0"},
            "runtime openvino runs on cpu, not on cuda:0",
        ),
        ({"runtime": "torch", "precision": "int8"}, "torch on the CPU is the fp32 reference"),
    ],
)
def test_combinations_that_do_not_exist_are_refused(
    stub_package: ModelPackage, wrong: dict[str, Any], reason: str
) -> None:
    with pytest.raises(UsageError, match=reason):
        load(stub_package, **wrong)


def test_a_gpu_that_is_not_there_is_an_error_of_its_own(package: ModelPackage) -> None:
    with pytest.raises(PackageError, match="no device cuda:77"):
        load(package, device="cuda:77")


def test_devices_have_one_name() -> None:
    assert resolve_device("cuda") == "cuda:0"
    assert resolve_device("cuda:3") == "cuda:3"
    assert resolve_device("cpu") == "cpu"
    assert resolve_device("auto") in ("cpu", "cuda:0")


def test_a_kind_names_no_hardware() -> None:
    info = RuntimeInfo("openvino 2026.4.1", "cpu Some Fast Processor", "int8>fp32")
    assert info.kind == "openvino/cpu/int8>fp32"
    assert RuntimeInfo("torch 2.9", "cuda:1 H100", "bf16").kind == "torch/cuda/bf16"
