"""Conversions are made once, in a process of their own, and kept."""

import sys
from pathlib import Path

import pytest

from wsi_pipeline.errors import PackageError
from wsi_pipeline.model.conversion import converted_model
from wsi_pipeline.model.openvino_runtime import BATCH_SIZE
from wsi_pipeline.model.package import ModelPackage


def convert(package: ModelPackage, cache: Path) -> Path:
    return converted_model(package, quantised=False, batch=BATCH_SIZE, cache=cache)


def test_a_conversion_is_made_once(
    package: ModelPackage, model_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = convert(package, model_cache)
    assert package.sha256[:16] in str(path)
    assert path.with_suffix(".bin").stat().st_size > 10**7
    made = path.stat().st_mtime_ns
    # Nothing is left that could convert: what is there is used.
    monkeypatch.setattr(sys, "executable", "/bin/false")
    assert convert(package, model_cache) == path
    assert path.stat().st_mtime_ns == made


def test_a_failed_conversion_is_an_error_of_the_package_and_leaves_nothing(
    stub_package: ModelPackage, tmp_path: Path
) -> None:
    with pytest.raises(PackageError, match="cannot be converted for OpenVINO") as caught:
        convert(stub_package, tmp_path)
    assert caught.value.package == str(stub_package.folder)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["lock"]
