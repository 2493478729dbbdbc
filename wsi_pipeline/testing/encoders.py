"""A real small encoder for tests: a vision transformer with random weights."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.model.description import REFERENCE, WEIGHTS, ModelDescription
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.model.pinning import write_description, write_npz
from wsi_pipeline.testing.models import colour_patches, model_fields

#: Side of a patch, and numbers that the encoder answers with.
ENCODER_PX, FEATURES = 64, 192


def make_encoder_package(folder: Path, *, seed: int = 0, **description: Any) -> ModelPackage:
    """Write an encoder: timm's ViT-Ti/16 of two blocks, with registers, layer scale and SwiGLU.

    Needs torch; a second or two.

    Args:
        folder: Made if it is missing.
        seed: Of the weights.
        description: Fields of ``model.yaml`` that differ from the usual ones.
    """
    import torch  # noqa: PLC0415 - takes seconds, and few tests need it

    from wsi_pipeline.model.linear_probe import (  # noqa: PLC0415 - imports torch
        pooled_features,
    )
    from wsi_pipeline.model.network import Classifier, save_weights  # noqa: PLC0415 - torch

    folder.mkdir(parents=True, exist_ok=True)
    fields = encoder_fields(**description)
    pins = dict.fromkeys((WEIGHTS, REFERENCE), "")
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        classifier = Classifier(ModelDescription.model_validate({**fields, "files": pins}))
        for name, values in classifier.network.named_parameters():
            if name.endswith("gamma"):
                torch.nn.init.uniform_(values, 0.2, 1.0)
    classifier.eval()
    patches = encoder_patches(16)
    features = pooled_features(classifier, patches, 8).astype(np.float32)
    save_weights(classifier.network, folder / WEIGHTS)
    write_npz(folder / REFERENCE, patches=patches, features=features)
    return write_description(folder, fields)


def encoder_fields(**changed: Any) -> dict[str, Any]:
    """Fields of ``model.yaml`` but ``files``.

    Args:
        changed: Fields that differ.
    """
    options = {
        "depth": 2,
        "mlp_ratio": 5.33334,
        "init_values": 1e-5,
        "reg_tokens": 4,
        "no_embed_class": True,
        "mlp_layer": "SwiGLUPacked",
        "act_layer": "silu",
    }
    fields = model_fields(
        ENCODER_PX,
        name="small-encoder",
        architecture={
            "name": "timm/vit_tiny_patch16_224",
            "pooling": "token",
            "dropout": 0.0,
            "options": options,
        },
        output="features",
        tolerance={"fp32": 1e-4, "bf16": 1e-3, "int8": 1e-2},
    )
    del fields["threshold"]
    return {**fields, **changed}


def encoder_patches(count: int) -> NDArray[np.uint8]:
    """Patches for it: mixtures of two colours with noise."""
    return colour_patches(count, ENCODER_PX)
