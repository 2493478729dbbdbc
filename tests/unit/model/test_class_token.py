"""A transformer of which the class token alone is asked for gives the same with less work."""

from typing import Any

import timm
import torch

from wsi_pipeline.model.class_token import LastBlock, shorten


def transformer(options: dict[str, Any]) -> Any:
    torch.manual_seed(1)
    small: dict[str, Any] = {
        "embed_dim": 64,
        "depth": 3,
        "num_heads": 4,
        "img_size": 32,
        "num_classes": 0,
    }
    network = timm.create_model("vit_small_patch16_224", **{**small, **options})
    return network.eval()


def test_the_class_token_is_what_it_was() -> None:
    for options in ({}, {"init_values": 0.1, "reg_tokens": 4, "qk_norm": True}, {"num_classes": 3}):
        whole, short = transformer(options), transformer(options)
        shorten(short)
        assert isinstance(short.blocks[-1], LastBlock)
        pixels = torch.randn(2, 3, 32, 32)
        with torch.inference_mode():
            assert torch.allclose(short(pixels), whole(pixels), atol=1e-6)


def test_where_other_tokens_count_nothing_changes() -> None:
    for options in ({"global_pool": "avg"}, {"global_pool": ""}, {"global_pool": "map"}):
        network = transformer(options)
        shorten(network)
        assert not isinstance(network.blocks[-1], LastBlock)
    convolutions = timm.create_model("resnet10t", num_classes=0)
    shorten(convolutions)
