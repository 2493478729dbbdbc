"""OpenVINO models made from packages, once, and kept in the cache.

Conversion and quantisation need torch and NNCF, whose imports alone take longer than a small
slide; that is why their products are kept. A cached model is trusted no more than a fresh one:
every load has to reproduce the package's reference (:mod:`wsi_pipeline.model.runtime`).
"""

import contextlib
import fcntl
import io
import logging
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

from wsi_pipeline.model.openvino_library import ov
from wsi_pipeline.model.package import ModelPackage

#: Bump when the way models are converted or quantised changes.
_REVISION = 1
#: Patches the int8 ranges are fitted on.
_CALIBRATION_BATCH = 8


def converted_model(package: ModelPackage, *, quantised: bool, cache: Path) -> Path:
    """The package's network as an OpenVINO model file, uint8 NHWC in, probabilities out.

    Args:
        package: The model.
        quantised: In int8, its ranges fitted on the package's reference patches.
        cache: Folder that keeps it; processes may share it.
    """
    version = ov.__version__.split("-")[0]
    folder = cache / "openvino" / f"{package.sha256[:16]}-{version}-{_REVISION}"
    path = folder / ("int8.xml" if quantised else "fp32.xml")
    with _locked(folder):
        if not path.exists():
            source = None
            if quantised:
                if not (folder / "fp32.xml").exists():
                    _save(_convert(package), folder / "fp32.xml")
                source = ov.Core().read_model(folder / "fp32.xml")
            _save(_quantise(package, source) if source else _convert(package), path)
    return path


def _convert(package: ModelPackage) -> ov.Model:
    import torch  # noqa: PLC0415 - see the module's docstring

    from wsi_pipeline.model.network import load_classifier  # noqa: PLC0415 - imports torch

    side = package.description.patch_px
    with warnings.catch_warnings(), torch.inference_mode():
        # OpenVINO's own way of tracing is deprecated by torch; the reference check judges it.
        warnings.simplefilter("ignore")
        model = ov.convert_model(
            load_classifier(package), example_input=torch.zeros(1, 3, side, side)
        )
    model.reshape([-1, 3, side, side])
    steps = ov.preprocess.PrePostProcessor(model)
    steps.input().tensor().set_element_type(ov.Type.u8).set_layout(ov.Layout("NHWC"))
    steps.input().model().set_layout(ov.Layout("NCHW"))
    steps.input().preprocess().convert_element_type(ov.Type.f32)
    return steps.build()


def _quantise(package: ModelPackage, model: ov.Model) -> ov.Model:
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        import nncf  # noqa: PLC0415 - see the module's docstring

        nncf.set_log_level(logging.ERROR)
        patches = package.reference()[0]
        batches = [
            patches[i : i + _CALIBRATION_BATCH]
            for i in range(0, len(patches) - _CALIBRATION_BATCH + 1, _CALIBRATION_BATCH)
        ]
        return nncf.quantize(
            model,
            nncf.Dataset(batches),
            preset=nncf.QuantizationPreset.MIXED,
            subset_size=len(batches),
        )


def _save(model: ov.Model, path: Path) -> None:
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        ov.save_model(model, Path(folder) / path.name, compress_to_fp16=False)
        # The weights first: whoever sees the model file finds them.
        for suffix in (".bin", ".xml"):
            made = (Path(folder) / path.name).with_suffix(suffix)
            made.replace(path.with_suffix(suffix))


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One process at a time converts a package; the lock ends with the process."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
