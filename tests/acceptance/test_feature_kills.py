"""``wsi features`` killed while it works, and started again: the same bits in every file."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import anndata
import h5py
import numpy as np
import pytest
from acceptance_support import Wsi, arrays, assert_same_arrays

from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.run.checkpoint import partial_folder
from wsi_pipeline.stitch.verification import verify
from wsi_pipeline.testing.encoders import FEATURES, make_encoder_package

pytestmark = pytest.mark.slow

#: About 4,000 tiles in 17 regions.
_OPTIONS = ("--stride", "32", "--h5", "--h5ad", "--quiet")


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> ModelPackage:
    return make_encoder_package(tmp_path_factory.mktemp("encoder") / "package")


def test_a_killed_run_leaves_the_files_of_an_undisturbed_one(
    slide: Path, encoder: ModelPackage, model_cache: Path, tmp_path: Path
) -> None:
    wsi = Wsi(encoder, model_cache)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    asked = ("features", slide, "--encoder", encoder.folder, *_OPTIONS)
    done = wsi(*asked, "-o", whole)
    assert done.returncode == 0, done.stderr
    final = killed / "planted.zarr"
    process = wsi.start(*asked, "-o", killed)
    _wait_for_regions(process, final, 2)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not final.exists()
    assert [path.name for path in killed.iterdir()] == [partial_folder(final).name]
    kept = {path: path.stat().st_mtime_ns for path in _regions(final)}
    assert len(kept) >= 2

    process = wsi.start(*asked, "-o", killed)
    _wait_for_regions(process, final, len(kept) + 1)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept, "a region was computed again"
    assert process.wait(timeout=200) == 0
    result = verify(final)
    assert result.record.timings.resumed_tiles >= 256 * (len(kept) - 1)
    assert_same_arrays(final, whole / "planted.zarr")
    for suffix in (".h5", ".h5ad"):
        name = f"planted{suffix}"
        assert (killed / name).read_bytes() == (whole / name).read_bytes()
    _assert_others_read_them(killed)

    # Killed between the result and the files beside it: these are written by the next call.
    for suffix in (".h5", ".h5ad"):
        shutil.move(killed / f"planted{suffix}", tmp_path / f"earlier{suffix}")
    assert wsi(*asked, "-o", killed).returncode == 0
    for suffix in (".h5", ".h5ad"):
        again = (killed / f"planted{suffix}").read_bytes()
        assert again == (tmp_path / f"earlier{suffix}").read_bytes()


def _assert_others_read_them(folder: Path) -> None:
    """In the layouts that CLAM, TRIDENT and scanpy know."""
    stored = arrays(folder / "planted.zarr")
    values = stored["features/values"].astype(np.float32)
    assert len(values) > 2000
    assert np.ptp(values, axis=0).min() > 0
    corners = np.stack([stored["tiles/x"], stored["tiles/y"]], axis=1)
    with h5py.File(folder / "planted.h5") as file:
        assert sorted(file) == ["coords", "features"]
        assert file["features"].shape == (len(values), FEATURES)
        assert np.array_equal(file["features"][...], values)
        assert np.array_equal(file["coords"][...], corners)
        assert {"patch_size", "patch_size_level0", "level0_magnification"} <= set(
            file["coords"].attrs
        )
    annotated = anndata.read_h5ad(folder / "planted.h5ad")
    assert np.array_equal(annotated.X, values)
    assert np.array_equal(annotated.obsm["spatial"], corners + 32)


def _regions(final: Path) -> list[Path]:
    return [p for p in partial_folder(final).glob("region-*") if p.suffix != ".new"]


def _wait_for_regions(process: subprocess.Popen[bytes], final: Path, count: int) -> None:
    while len(_regions(final)) < count:
        assert process.poll() is None, "the run ended before it could be killed"
        time.sleep(0.005)
