"""Models for tests: a fake predictor, a package it stands for, and a small real package."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.model.description import REFERENCE, WEIGHTS, ModelDescription
from wsi_pipeline.model.package import MIN_REFERENCE_PATCHES, ModelPackage
from wsi_pipeline.model.pinning import write_description
from wsi_pipeline.model.predictor import PredictorBase, RuntimeInfo

Patches = NDArray[np.uint8]
"""uint8 RGB, ``(n, patch, patch, 3)``."""

#: Colours (RGB) both kinds of packages tell apart: the first is the positive class.
TUMOUR_COLOUR, NORMAL_COLOUR = (190, 60, 90), (110, 90, 190)
_REAL_PATCH_PX = 96


def red_share(patches: Patches) -> NDArray[np.float32]:
    """Share of each patch's px that are redder than blue, ``(n,)``."""
    share: NDArray[np.float64] = np.mean(patches[..., 0] > patches[..., 2], axis=(1, 2))
    return share.astype(np.float32)


class FakePredictor(PredictorBase):
    """A :class:`~wsi_pipeline.model.predictor.Predictor` that computes a function of the px.

    Args:
        function: Patches to probabilities, ``(n, patch, patch, 3)`` to ``(n,)``. What it raises
            reaches whoever waits for the batch.
        batch_size: Largest number of patches in a batch.
        patch_px: Side of a patch.
        precision: What it says it computes in.
        features: How many features it says its answers have.
        parts: More functions, for parts that :meth:`each` asks beside the first.

    Attributes:
        batches: Sizes of the batches submitted so far.
        closed: Whether :meth:`close` was called.
    """

    def __init__(
        self,
        function: Callable[[Patches], NDArray[np.float32]] = red_share,
        *,
        batch_size: int = 8,
        patch_px: int = 299,
        precision: str = "fp32",
        features: int = 0,
        parts: Sequence[Callable[[Patches], NDArray[np.float32]]] = (),
    ) -> None:
        info = RuntimeInfo("fake 1", "cpu fake", precision, features)
        super().__init__(batch_size, patch_px, info)
        self._function, self._parts = function, (function, *parts)
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="fake-predict")
        self._lock = threading.Lock()
        self.batches: list[int] = []
        self.closed = False

    def submit(self, patches: Patches) -> "Future[NDArray[np.float32]]":
        """See :meth:`Predictor.submit`."""
        if not 1 <= len(patches) <= self._batch_size:
            raise ValueError(f"a batch has 1 to {self._batch_size} patches, not {len(patches)}")
        if patches.shape[1:] != (self._patch_px, self._patch_px, 3) or patches.dtype != np.uint8:
            raise ValueError(f"patches of {patches.dtype} {patches.shape[1:]} are not the model's")
        with self._lock:
            self.batches.append(len(patches))
        return self._threads.submit(self._function, patches)

    def each(self, patches: Patches) -> list[NDArray[np.float32]]:
        """See :meth:`Predictor.each`."""
        return [part(patches) for part in self._parts]

    def close(self) -> None:
        """Wait for what runs."""
        self._threads.shutdown(wait=True)
        self.closed = True


def make_stub_package(
    folder: Path,
    *,
    patch_px: int = 64,
    function: Callable[[Patches], NDArray[np.float32]] = red_share,
    **description: Any,
) -> ModelPackage:
    """Write a package that is valid but holds no network, for use with :class:`FakePredictor`.

    Args:
        folder: Made if it is missing.
        patch_px: Side of a patch.
        function: Gives the reference probabilities.
        description: Fields of ``model.yaml`` that differ from the usual ones.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / WEIGHTS).write_bytes(b"no network")
    patches = colour_patches(MIN_REFERENCE_PATCHES, patch_px)
    np.savez(folder / REFERENCE, patches=patches, probabilities=function(patches))
    return write_description(folder, model_fields(patch_px, **description))


def make_package(
    folder: Path,
    *,
    patch_px: int = _REAL_PATCH_PX,
    seed: int = 1,
    references: int = 24,
    **description: Any,
) -> ModelPackage:
    """Write a package with a real Inception v3 of random weights that tells two colours apart.

    Its batch statistics fit the reference patches, and its head is the difference of the mean
    features of patches of :data:`TUMOUR_COLOUR` and :data:`NORMAL_COLOUR`. Takes seconds: keep it
    for a session. Needs torch.

    Args:
        folder: Made if it is missing.
        patch_px: Side of a patch, at least 75; small ones compute faster.
        seed: Of the weights.
        references: Number of reference patches, with probabilities between 0 and 1.
        description: Fields of ``model.yaml`` that differ from the usual ones.
    """
    import torch  # noqa: PLC0415 - takes seconds, and fakes need none of it

    from wsi_pipeline.model.network import (  # noqa: PLC0415 - imports torch
        Classifier,
        load_classifier,
        save_weights,
    )

    folder.mkdir(parents=True, exist_ok=True)
    fields = model_fields(patch_px, **description)
    classifier = Classifier(describe_model(patch_px, **description))
    patches = colour_patches(references, patch_px)
    pixels = torch.from_numpy(patches).permute(0, 3, 1, 2).float()
    generator = torch.Generator().manual_seed(seed)
    with torch.inference_mode():
        network = classifier.network
        for module in network.modules():
            if isinstance(module, torch.nn.Conv2d):
                torch.nn.init.kaiming_normal_(module.weight, generator=generator)
            elif isinstance(module, torch.nn.BatchNorm2d):
                module.momentum = None  # the plain mean over what it has seen
                # Most activations then pass the ReLU: a random network that stays nearly linear
                # is no amplifier of rounding, so that every precision can follow it.
                module.bias.fill_(2.0)
        network.train()
        normalised = (pixels - classifier.mean) / classifier.std
        network(normalised)
        network.eval()
        network.fc = torch.nn.Identity()
        features = network(normalised)
        third = references // 3
        normal, tumour = features[:third].mean(0), features[-third:].mean(0)
        direction = tumour - normal
        head = torch.nn.Linear(2048, 1)
        # Logits of about -3 for the normal colour and 3 for the tumour colour.
        scale = 6 / (direction @ direction)
        head.weight.copy_(direction[None] * scale)
        head.bias.copy_(-(normal + tumour) / 2 @ direction * scale)
        network.fc = head
    save_weights(network, folder / WEIGHTS)
    np.savez(folder / REFERENCE, patches=patches, probabilities=np.zeros(references, np.float32))
    package = write_description(folder, fields)
    reference = load_classifier(package)
    with torch.inference_mode():
        probabilities = torch.cat([reference(one[None]) for one in pixels]).numpy()
    np.savez(folder / REFERENCE, patches=patches, probabilities=probabilities)
    return write_description(folder, fields)


def colour_patches(count: int, patch_px: int, *, seed: int = 0) -> Patches:
    """Patches from pure :data:`NORMAL_COLOUR` to pure :data:`TUMOUR_COLOUR`, in even steps.

    Each is of one mixture of both, with noise that gives it a texture.
    """
    rng = np.random.default_rng(seed)
    share = np.linspace(0, 1, count)[:, None, None, None]
    flat = share * np.array(TUMOUR_COLOUR) + (1 - share) * np.array(NORMAL_COLOUR)
    noisy: NDArray[np.float64] = flat + rng.normal(0, 12, (count, patch_px, patch_px, 3))
    return noisy.clip(0, 255).astype(np.uint8)


def model_fields(patch_px: int, **changed: Any) -> dict[str, Any]:
    """Fields of ``model.yaml`` but ``files``: a binary Inception v3 of no worth.

    Args:
        patch_px: Side of a patch.
        changed: Fields that differ.
    """
    resolution = {} if "level" in changed else {"mpp": 0.5}
    return {
        "name": "test-model",
        "version": "1",
        "architecture": {"name": "inception_v3"},
        "patch_px": patch_px,
        "threshold": {"value": 0.5, "chosen": "by definition"},
        "training": {"data": "two colours", "synthetic": True},
        "licence": "Apache-2.0",
        "intended_use": "tests",
        "tolerance": {"fp32": 1e-4, "bf16": 0.1, "fp16": 0.1, "int8": 0.25},
        **resolution,
        **changed,
    }


def describe_model(patch_px: int, **changed: Any) -> ModelDescription:
    """A description of :func:`model_fields`, of files that are not there."""
    pins = dict.fromkeys((WEIGHTS, REFERENCE), "")
    return ModelDescription.model_validate({"files": pins, **model_fields(patch_px, **changed)})
