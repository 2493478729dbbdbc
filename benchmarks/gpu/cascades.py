"""Loading what is compared: single precisions, the cascade of ``auto``, and one that has fp16."""

from dataclasses import replace

from benchmarks.gpu.setting import Setting
from wsi_pipeline.analysis_settings import PrecisionChoice
from wsi_pipeline.model.admission import load_predictor
from wsi_pipeline.model.predictor import Predictor
from wsi_pipeline.model.runtime import RUNTIMES, choose_runtime

#: The cascades, by the name of their row: the runtime that has each.
CASCADES = {"auto, bf16>fp32": "torch", "auto, fp16>fp32": "torch-fp16"}


def load(setting: Setting, name: str, *, on_cpu: bool = False) -> Predictor:
    """A predictor held to its package's reference.

    Args:
        setting: Names the package and the device.
        name: A precision, or one of :data:`CASCADES`.
        on_cpu: OpenVINO on the CPU in the place of torch on the device.

    Raises:
        PackageError: it is not admitted, or cannot be loaded.
    """
    asked = setting.request(_precision(name), CASCADES.get(name, "torch"))
    if on_cpu:
        asked = replace(asked, device="cpu", runtime="openvino")
    elif asked.runtime not in {one.name for one in RUNTIMES}:
        # For this process: `auto` of this runtime begins with fp16 and is else that of torch.
        usual = choose_runtime("torch", setting.device)
        RUNTIMES.append(replace(usual, name=asked.runtime, precisions=lambda: ("fp16",)))
    threshold = setting.package.description.threshold.value
    return load_predictor(setting.package, asked, threshold=threshold)


def is_computed(setting: Setting, name: str) -> bool:
    """Whether the device computes a row; the cascades are a GPU's."""
    return name in setting.precisions or (setting.on_gpu and name in CASCADES)


def _precision(name: str) -> PrecisionChoice:
    single: tuple[PrecisionChoice, ...] = ("fp32", "bf16", "fp16", "int8")
    return next((one for one in single if one == name), "auto")
