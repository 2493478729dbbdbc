"""Conversions are made once and kept."""

from pathlib import Path

import pytest

from wsi_pipeline.model import conversion
from wsi_pipeline.model.conversion import converted_model
from wsi_pipeline.model.package import ModelPackage


def test_a_conversion_is_made_once(
    package: ModelPackage, model_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = converted_model(package, quantised=False, cache=model_cache)
    assert path.with_suffix(".bin").stat().st_size > 10**7
    made = path.stat().st_mtime_ns
    monkeypatch.delattr(conversion, "_convert")
    assert converted_model(package, quantised=False, cache=model_cache) == path
    assert path.stat().st_mtime_ns == made


def test_another_package_has_another_conversion(
    package: ModelPackage, stub_package: ModelPackage, model_cache: Path
) -> None:
    path = converted_model(package, quantised=False, cache=model_cache)
    assert package.sha256[:16] in str(path)
    assert stub_package.sha256[:16] not in str(path)


def test_a_failed_conversion_leaves_nothing_behind(
    stub_package: ModelPackage, tmp_path: Path
) -> None:
    with pytest.raises(Exception, match=r"[Hh]eader|safetensors"):
        converted_model(stub_package, quantised=False, cache=tmp_path)
    assert [p.name for p in tmp_path.rglob("*") if p.is_file()] == ["lock"]
