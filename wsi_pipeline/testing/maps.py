"""A small real package that answers with maps: convolutions with padding, as an OpenVINO graph."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.model.description import GRAPH, GRAPH_WEIGHTS, REFERENCE, ModelDescription
from wsi_pipeline.model.package import ModelPackage, thinned
from wsi_pipeline.model.pinning import write_description
from wsi_pipeline.testing.models import Patches, colour_patches, model_fields

#: Px at each side of its input that its padding reaches; the farthest, at stride 16.
MAP_MARGIN = {1: 8, 4: 16, 16: 48}
MAP_CLASSES = ("glass", "tumour", "normal")


def make_map_network(stride: int, *, units: int = 1, seed: int = 3) -> Any:
    """A torch module of convolutions with padding, ``(n, 3, s, s)`` to ``(n, units, s/d, s/d)``.

    Its logits are spread over some units around 0, so that errors show in the probabilities.

    Args:
        stride: Px of the input for each px of the map: 1, 4 or 16.
        units: Planes.
        seed: Of the weights.
    """
    import torch  # noqa: PLC0415 - takes seconds, and few tests need it

    generator = torch.Generator().manual_seed(seed)
    layers: list[torch.nn.Module] = [torch.nn.Conv2d(3, 8, 3, padding=1), torch.nn.Tanh()]
    for _ in range(stride.bit_length() // 2):
        layers += [torch.nn.Conv2d(8, 8, 5, stride=4, padding=2), torch.nn.Tanh()]
    layers += [torch.nn.Conv2d(8, 8, 3, padding=1), torch.nn.Tanh(), torch.nn.Conv2d(8, units, 1)]
    network = torch.nn.Sequential(*layers).eval()
    with torch.no_grad():
        for layer in network:
            if isinstance(layer, torch.nn.Conv2d):
                torch.nn.init.kaiming_normal_(layer.weight, generator=generator)
                torch.nn.init.zeros_(layer.bias)  # type: ignore[arg-type]  # a plain one has a bias
    return network


def make_map_package(
    folder: Path,
    *,
    stride: int = 4,
    units: int = 1,
    patch_px: int = 128,
    pool: int = 1,
    **description: Any,
) -> ModelPackage:
    """Write a package of :func:`make_map_network`. Takes a second. Needs torch.

    Args:
        folder: Made if it is missing.
        stride: See there.
        units: 1 makes it binary, more multiclass with :data:`MAP_CLASSES`.
        patch_px: Side of a patch.
        pool: Px of the map for each cell.
        description: Fields of ``model.yaml`` that differ from the usual ones.
    """
    import torch  # noqa: PLC0415 - as above

    from wsi_pipeline.model.openvino_library import ov  # noqa: PLC0415 - as above

    kind = {} if units == 1 else {"task": "multiclass", "classes": list(MAP_CLASSES[:units])}
    fields = model_fields(
        patch_px,
        architecture={"name": "graph"},
        output="map",
        map={"stride_px": stride, "margin_px": MAP_MARGIN[stride], "pool": pool},
        **{**kind, **description},
    )
    about = ModelDescription.model_validate(
        {**fields, "files": dict.fromkeys((GRAPH, GRAPH_WEIGHTS, REFERENCE), "")}
    )
    folder.mkdir(parents=True, exist_ok=True)
    network, side = make_map_network(stride, units=units), about.input_px
    with torch.inference_mode(), warnings.catch_warnings():
        # Torch calls OpenVINO's way of tracing deprecated.
        warnings.simplefilter("ignore")
        graph = ov.convert_model(network, example_input=torch.zeros(1, 3, side, side))
    ov.save_model(graph, folder / GRAPH, compress_to_fp16=False)
    patches = colour_patches(3, patch_px)
    maps = thinned(answer_map(network, about, patches), about)
    np.savez(folder / REFERENCE, patches=patches, probabilities=maps)
    return write_description(folder, fields)


def answer_map(
    network: Any, about: ModelDescription, images: Patches, *, margin: bool = True
) -> NDArray[np.float32]:
    """What a network answers for images of any size, in torch, by its description.

    Args:
        network: As of :func:`make_map_network`.
        about: Its normalisation, head, margin and pooling.
        images: uint8 RGB, ``(n, height, width, 3)``.
        margin: Whether the margins are cut.

    Returns:
        ``(n, rows, columns)`` of a binary model, else ``(n, planes, rows, columns)``.
    """
    import torch  # noqa: PLC0415 - as above

    assert about.map is not None  # it is for maps
    mean, std = (
        torch.tensor(values).view(1, 3, 1, 1)
        for values in (about.normalisation.mean, about.normalisation.std)
    )
    with torch.inference_mode():
        px = torch.from_numpy(images).permute(0, 3, 1, 2).float()
        logits = network((px - mean) / std)
        sigmoid = about.activation == "sigmoid"
        value = torch.sigmoid(logits) if sigmoid else torch.softmax(logits, 1)
        cut = about.map.margin_px // about.map.stride_px if margin else 0
        value = value[:, :, cut : value.shape[2] - cut, cut : value.shape[3] - cut]
        value = torch.nn.functional.avg_pool2d(value, about.map.pool)
        if about.task == "binary":
            value = value[:, 0]
        found: NDArray[np.float32] = value.numpy()
    return found
