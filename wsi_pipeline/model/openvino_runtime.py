"""OpenVINO on the CPU: the fastest way to run the network without a GPU."""

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.model.conversion import Conversion, converted_model
from wsi_pipeline.model.description import Precision
from wsi_pipeline.model.inference_pool import SlotPredictor
from wsi_pipeline.model.openvino_library import COMPILING, ov
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.model.predictor import Head, RuntimeInfo
from wsi_pipeline.model.preprocessing import Preparer

#: Patches per request: larger ones are no faster and cost memory (``make bench`` shows it).
BATCH_SIZE = 4
#: Of encoders: as fast, and where a patch takes a tenth of a second no core idles long at the end.
_ENCODER_BATCH_SIZE = 2
#: Px of a request, at most, but for that of one patch; and of a patch from which one request at a
#: time has all threads. Both bound memory: a network keeps some hundred bytes for each px.
_BATCH_PX, _ALONE_PX = BATCH_SIZE * 512**2, 1024**2
#: Up to here every core gets a stream of its own, which is fastest; beyond, OpenVINO decides.
_STREAMS_BY_CORE = 4


class OpenVinoPredictor(SlotPredictor[ov.InferRequest]):
    """A :class:`~wsi_pipeline.model.predictor.Predictor` over one compiled model.

    Args:
        package: The model.
        precision: ``fp32``, ``bf16`` or ``int8``.
        cache: Folder for converted and compiled models.
        threads: CPU threads to use; None for all this process may.
        batch_size: Patches per request, fewer where patches are large; None: what is fastest, of a
            model that always has work.
        head: What it answers with.
    """

    def __init__(
        self,
        package: ModelPackage,
        precision: Precision,
        cache: Path,
        *,
        threads: int | None = None,
        batch_size: int | None = None,
        head: Head = "classes",
    ) -> None:
        prepare = Preparer(package.description)
        # One more request than can run waits filled, so that no core idles between two batches. A
        # later stage of a cascade has work now and then, and each request takes memory.
        more = int(batch_size is None)
        if batch_size is None:
            encoder = package.description.output == "features"
            batch_size = _ENCODER_BATCH_SIZE if encoder else BATCH_SIZE
        px = prepare.input_px**2
        batch_size = max(1, min(batch_size, _BATCH_PX // px))
        core = ov.Core()
        core.set_property({"CACHE_DIR": str(cache / "openvino" / "compiled")})
        wanted = Conversion(precision == "int8", batch_size, head)
        threads = threads or len(os.sched_getaffinity(0))
        config: dict[str, str | int] = {
            "PERFORMANCE_HINT": "THROUGHPUT",
            "INFERENCE_NUM_THREADS": threads,
            # Layers int8 does not cover run in fp32, so that int8 means the same on every CPU.
            "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32",
        }
        if px >= _ALONE_PX:
            config["NUM_STREAMS"] = 1
        elif threads <= _STREAMS_BY_CORE:
            config["NUM_STREAMS"] = threads
        with COMPILING:
            # By its path: a model compiled before is then loaded without reading the original.
            path = converted_model(package, wanted, cache)
            try:
                compiled = core.compile_model(path, "CPU", config)
            except RuntimeError:
                # A damaged cache is no reason to fail: it is only a cache.
                for suffix in (".xml", ".bin"):
                    path.with_suffix(suffix).unlink(missing_ok=True)
                path = converted_model(package, wanted, cache)
                compiled = core.compile_model(path, "CPU", config)
        requests = int(compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS")) + more
        slots = [compiled.create_infer_request() for _ in range(requests)]
        count = 0
        if head != "classes":
            # How many features there are is not known before it has answered.
            side = prepare.input_px
            given = _infer(slots[0], np.zeros((batch_size, side, side, 3), np.uint8))
            count = package.description.features_of(given.shape, head)
        name = str(core.get_property("CPU", "FULL_DEVICE_NAME")).strip()
        version = ov.__version__.split("-")[0]
        info = RuntimeInfo(f"openvino {version}", f"cpu {name}", precision, count)
        super().__init__(slots, _infer, batch_size=batch_size, prepare=prepare, info=info)


def cpu_precisions() -> frozenset[Precision]:
    """The precisions this CPU computes faster than fp32, and fp32."""
    stated = set(ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"))
    names: dict[str, Precision] = {"FP32": "fp32", "BF16": "bf16", "INT8": "int8"}
    return frozenset(names[name] for name in stated & set(names)) | {"fp32"}


def _infer(request: ov.InferRequest, patches: NDArray[np.uint8]) -> NDArray[np.float32]:
    # Shared, not copied: the pool keeps the batch alive until the call returns, and copies what it
    # returns before the request is used again.
    request.infer({0: np.ascontiguousarray(patches)}, share_inputs=True, share_outputs=True)
    values: NDArray[np.float32] = request.get_output_tensor(0).data
    if len(request.model_outputs) > 1:
        beside = request.get_output_tensor(1).data
        return np.concatenate([values.reshape(len(beside), -1), beside], axis=1)
    # An older graph or another program's may give a binary answer as a column.
    return values.reshape(-1) if values.ndim == 2 and values.shape[1] == 1 else values
