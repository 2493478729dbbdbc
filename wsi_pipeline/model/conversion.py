"""OpenVINO models made from packages, once, and kept in the cache.

Conversion and quantisation need torch and NNCF, whose imports alone take longer than a small
slide; that is why their products are kept. Torch is not needed for a package that carries its graph
(:mod:`wsi_pipeline.model.graph`). A cached model is trusted no more than a fresh one:
every load has to reproduce the package's reference (:mod:`wsi_pipeline.model.admission`).
"""

import contextlib
import fcntl
import importlib.util
import io
import logging
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from wsi_pipeline.errors import PackageError
from wsi_pipeline.model.graph import find_graph, keep_graph
from wsi_pipeline.model.graph_features import with_head
from wsi_pipeline.model.network_graph import complete_graph
from wsi_pipeline.model.openvino_library import ov
from wsi_pipeline.model.package import ModelPackage, load_package
from wsi_pipeline.model.predictor import Head
from wsi_pipeline.model.preprocessing import Preparer

#: Bump when the way models are converted or quantised changes, and ``GRAPH_REVISION`` with it if
#: it concerns the conversion.
_REVISION = 5
#: The graph in the cache, with patches in any number.
_PLAIN = "fp32.xml"
#: Patches the int8 ranges are fitted on.
_CALIBRATION_BATCH = 8


@dataclass(frozen=True, slots=True)
class Conversion:
    """What is made of a package.

    Attributes:
        quantised: In int8, its ranges fitted on the package's calibration patches.
        batch: Patches per call.
        head: What it answers with; of both, features are a second output.
    """

    quantised: bool
    batch: int
    head: Head = "classes"

    @property
    def file(self) -> str:
        """Its name in the cache."""
        return f"{_prefix(self.head)}{'int8' if self.quantised else 'fp32'}-{self.batch}.xml"


def converted_model(package: ModelPackage, wanted: Conversion, cache: Path) -> Path:
    """The package's network as an OpenVINO model file, uint8 NHWC in, answers out.

    What is missing is made in a child process, so that torch and NNCF neither stay in this one's
    memory nor speak on its terminal.

    Args:
        package: The model.
        wanted: What is to be made of it.
        cache: Folder that keeps it; processes may share it.

    Raises:
        PackageError: the conversion failed, or needs torch, which is not installed.
    """
    folder = _cache_folder(package, cache)
    path = folder / wanted.file
    with _locked(folder):
        if not path.exists():
            _in_child(package, path, wanted)
    return path


def carry_graph(package: ModelPackage, cache: Path) -> Path:
    """Give a package its OpenVINO graph to carry, made anew from its weights; returns the folder.

    Raises:
        PackageError: the conversion failed, or torch is not installed.
    """
    if package.description.architecture.kind == "onnx":
        raise PackageError(
            package.folder,
            "holds an ONNX file, which onnxruntime computes; there is nothing to convert",
        )
    with tempfile.TemporaryDirectory(dir=_made(cache / "openvino")) as folder:
        made = Path(folder) / _PLAIN
        _in_child(package, made, None)
        return keep_graph(package, made)


def convert_here(package: ModelPackage, cache: Path) -> None:
    """Make the graph in this process, which has loaded torch anyway, so that no child has to.

    Raises:
        PackageError: its network cannot be built.
    """
    folder = _cache_folder(package, cache)
    with _locked(folder):
        if not any(folder.glob(f"*{_PLAIN}")):
            head = package.description.own_head
            _save(_convert(package, head), folder / f"{_prefix(head)}{_PLAIN}")


def keep_conversions(earlier: ModelPackage, package: ModelPackage, cache: Path) -> None:
    """Use what was converted of a package also for one that differs in its tolerances only."""
    made, folder = _cache_folder(earlier, cache), _cache_folder(package, cache)
    if made.is_dir() and not folder.exists():
        made.rename(folder)


def _in_child(package: ModelPackage, path: Path, wanted: Conversion | None) -> None:
    carried = None if wanted is None else find_graph(package)
    complete = package.description.architecture.kind == "graph" or carried is not None
    if not complete and importlib.util.find_spec("torch") is None:
        raise PackageError(
            package.folder,
            "holds no OpenVINO graph, and torch, which makes one, is not installed: run `wsi "
            "models convert` where it is, or pip install 'wsi-pipeline[inference]'",
        )
    command = [sys.executable, "-m", "wsi_pipeline.model.conversion", str(package.folder)]
    command += [str(path), *([] if wanted is None else [str(wanted.batch), wanted.head])]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own interpreter and module, no shell
    if done.returncode != 0 or not path.exists():
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise PackageError(package.folder, f"cannot be converted for OpenVINO: {last}")


def _cache_folder(package: ModelPackage, cache: Path) -> Path:
    version = ov.__version__.split("-")[0]
    return cache / "openvino" / f"{package.sha256[:16]}-{version}-{_REVISION}"


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def main() -> None:
    """Convert the package, to the file and for the batch size named on the command line.

    Without a batch size, the graph as it is made of the weights, which a package may carry.
    """
    package, path = load_package(Path(sys.argv[1])), Path(sys.argv[2])
    if len(sys.argv) <= 3:
        _save(_convert(package, package.description.own_head), path)
        return
    batch, side = int(sys.argv[3]), package.description.input_px
    head = cast("Head", sys.argv[4])
    prefix = _prefix(head)
    plain = path.parent / f"{prefix}{_PLAIN}"
    if not plain.exists():
        carried = find_graph(package)
        if carried is None:
            _save(_convert(package, head), plain)
        else:
            carried_graph = ov.Core().read_model(carried)
            own = package.description.own_head == head
            _save(carried_graph if own else with_head(carried_graph, head, package.name), plain)
    model = ov.Core().read_model(plain)
    if path.name.startswith(f"{prefix}int8"):
        quantised = path.parent / f"{prefix}int8.xml"
        if not quantised.exists():
            _save(_quantise(package, model), quantised)
        model = ov.Core().read_model(quantised)
    model.reshape([batch, side, side, 3])
    _save(model, path)


def _prefix(head: Head) -> str:
    """Of the names of files in the cache."""
    return "" if head == "classes" else f"{head}-"


def _convert(package: ModelPackage, head: Head) -> ov.Model:
    if package.description.architecture.kind == "graph":
        return with_head(complete_graph(package), head, package.name)
    import torch  # noqa: PLC0415 - see the module's docstring

    from wsi_pipeline.model.answering import Answering  # noqa: PLC0415 - imports torch
    from wsi_pipeline.model.network import load_classifier  # noqa: PLC0415 - imports torch

    side = package.description.input_px
    classifier = load_classifier(package)
    if classifier.temperature != 1:
        # As an operation of its own behind the last layer, it would be quantised too, and logits
        # beyond those of the calibration patches cut off.
        classifier.fold_temperature()
    with warnings.catch_warnings(), torch.inference_mode():
        # OpenVINO's own way of tracing is deprecated by torch; the reference check judges it.
        warnings.simplefilter("ignore")
        module = classifier if head == "classes" else Answering(classifier, head)
        model = ov.convert_model(module, example_input=torch.zeros(1, 3, side, side))
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
        patches = Preparer(package.description)(package.calibration())
        # Of maps there may be few.
        size = min(_CALIBRATION_BATCH, len(patches))
        # Encoders are transformers as a rule; ranges of others do not suffer by it.
        encoder = package.description.output == "features"
        batches = [patches[i : i + size] for i in range(0, len(patches) - size + 1, size)]
        return nncf.quantize(
            model,
            nncf.Dataset(batches),
            preset=nncf.QuantizationPreset.MIXED,
            subset_size=len(batches),
            model_type=nncf.ModelType.TRANSFORMER if encoder else None,
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


if __name__ == "__main__":
    main()
