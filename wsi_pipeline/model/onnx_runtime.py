"""ONNX Runtime on the CPU: for networks that other runtimes do not compute nearly enough as it."""

import os

import numpy as np
import onnxruntime  # type: ignore[import-untyped]  # it has no types
from numpy.typing import NDArray

from wsi_pipeline.errors import PackageError
from wsi_pipeline.model.head import probabilities
from wsi_pipeline.model.inference_pool import SlotPredictor
from wsi_pipeline.model.onnx_features import with_features
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.model.predictor import Head, RuntimeInfo
from wsi_pipeline.model.preprocessing import Preparer


class OnnxPredictor(SlotPredictor[onnxruntime.InferenceSession]):
    """A :class:`~wsi_pipeline.model.predictor.Predictor` over one session, a patch at a time.

    One patch, since networks are imported for one: the number they were exported for may be fixed.

    Args:
        package: Holds its network as ``network.onnx``.
        threads: CPU threads to use; None for all this process may.
        head: What it answers with.

    Raises:
        PackageError: the network cannot be loaded, or answers otherwise than the package says.
    """

    def __init__(
        self, package: ModelPackage, *, threads: int | None = None, head: Head = "classes"
    ) -> None:
        about = package.description
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or len(os.sched_getaffinity(0))
        # Its arena would keep what the largest patch took; several hundred MB where it is a map.
        options.enable_cpu_mem_arena = False
        try:
            network = str(package.weights) if head == "classes" else with_features(package)
            session = onnxruntime.InferenceSession(
                network, options, providers=["CPUExecutionProvider"]
            )
        except PackageError:
            raise
        except Exception as error:  # onnxruntime has many kinds of error
            raise PackageError(package.folder, f"its network cannot be loaded: {error}") from error
        name = session.get_inputs()[0].name
        # As torchvision does it, and so the program that the model comes from: px / 255 first.
        mean, std = (
            np.asarray(values, np.float32) / np.float32(255)
            for values in (about.normalisation.mean, about.normalisation.std)
        )

        def run(
            slot: onnxruntime.InferenceSession, patches: NDArray[np.uint8]
        ) -> NDArray[np.float32]:
            px = (patches.astype(np.float32) / np.float32(255) - mean) / std
            given = np.ascontiguousarray(px.transpose(0, 3, 1, 2))
            answers, *features = slot.run(None, {name: given})
            if head == "features":
                return np.asarray(features[0], np.float32)
            try:
                classes = probabilities(about, answers)
            except ValueError as error:
                raise PackageError(package.folder, str(error)) from error
            parts = [classes.reshape(len(given), -1), *features]
            return np.concatenate(parts, axis=1) if features else classes

        version, count = f"onnxruntime {onnxruntime.__version__}", 0
        if head != "classes":
            blank = np.zeros((1, about.input_px, about.input_px, 3), np.uint8)
            count = about.features_of(run(session, blank).shape, head)
        super().__init__(
            [session],
            run,
            batch_size=1,
            prepare=Preparer(about),
            info=RuntimeInfo(version, "cpu", "fp32", count),
        )
