"""Networks written as the OpenVINO graph that a package holds."""

from pathlib import Path

from wsi_pipeline.model.openvino_library import ov


def save_graph(model: ov.Model, side: int, path: Path) -> None:
    """Write a graph in fp32, for any number of images.

    Args:
        model: Takes NCHW, three channels.
        side: Of the images, px.
        path: The ``.xml``; the weights go beside it as ``.bin``.

    Raises:
        RuntimeError: it does not take such images.
    """
    model.reshape([-1, 3, side, side])
    ov.save_model(model, path, compress_to_fp16=False)
