"""Sources that answer with a map: its stride, and the margin in which it sees padding."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from wsi_pipeline.importing.source import Floats, ImportRefusedError, ImportRequest, Source
from wsi_pipeline.model.description import GRAPH, GRAPH_WEIGHTS, REFERENCE, ModelDescription
from wsi_pipeline.model.head import probabilities
from wsi_pipeline.model.package import MIN_REFERENCE_MAPS, thinned

#: Side above which a reference keeps few patches of a map, since each takes seconds; also of what
#: the margin is measured on.
_LARGE_PX = 512
#: How much probabilities inside the margin may differ from those in a larger image.
_SETTLED = 1e-4
#: Networks that halve their input several times look at blocks of it: surroundings are added in
#: multiples of this, so that the blocks stay.
_BLOCK = 64


def reference_count(source: Source, inputs: Callable[[int], Floats], count: int, side: int) -> int:
    """How many of the reference patches to use: of large maps three, one of each kind of tissue.

    Args:
        source: The model.
        inputs: The first so many patches as the network takes them.
        count: How many there are.
        side: Of a patch, px.
    """
    if side <= _LARGE_PX or count <= MIN_REFERENCE_MAPS:
        return count
    with tempfile.TemporaryDirectory() as folder:
        is_map = source.answer(inputs(1), Path(folder)).ndim == 4
    return MIN_REFERENCE_MAPS if is_map else count


def as_rows(answers: Floats) -> Floats:
    """Every place of a map as a row, ``(n * rows * columns, units)``; answers of rows as they are.

    Classes and head are told by them as by those of a model that answers with numbers.
    """
    if answers.ndim != 4:
        return answers
    return np.moveaxis(answers, 1, -1).reshape(-1, answers.shape[1])


def describe_map(
    path: Path,
    source: Source,
    request: ImportRequest,
    fields: dict[str, Any],
    inputs: Floats,
    answers: Floats,
    told: list[str],
) -> dict[str, Any]:
    """The fields ``output`` and ``map``.

    Args:
        path: The source.
        source: The model.
        request: What the user says; a stride and a margin that are not said are measured.
        fields: What is known of the package so far, its head included.
        inputs: What the network was given.
        answers: What it answered, ``(n, units, rows, columns)``.
        told: Sentences for the user are added.

    Raises:
        ImportRefusedError: the stride or the margin cannot be told, or do not fit.
    """
    side, rows, columns = inputs.shape[2], answers.shape[2], answers.shape[3]
    if rows != columns:
        raise ImportRefusedError(path, f"answers a square with a map of {rows} × {columns}")
    stride = request.stride or (side // rows if side % rows == 0 else None)
    if stride is None:
        raise ImportRefusedError(
            path,
            f"answers {side} px with a map of {rows}; pass --stride, the px of the input for each "
            "px of the map",
        )
    if request.stride is None:
        told.append(f"a px of its map stands for {stride} px of its input; else pass --stride")
    pool = request.pool or 1
    differences = _by_margin(source, _described(fields), stride, inputs[:1])
    # Without padding of its own a network answers for the middle of its input only.
    lost = max(0, side - rows * stride) // 2
    margin = request.margin
    if margin is None:
        margin = lost + _measured_margin(path, differences, stride, side)
        told.append(f"it sees padding up to {margin} px from the edge; else pass --margin")
    elif differences is not None and margin >= lost:
        left = float(differences[min((margin - lost) // stride, len(differences) - 1)])
        if left > _SETTLED:
            told.append(
                f"{margin} px from the edge its answers still change by up to {left:.2g} with what "
                "lies outside of the patch: tiles are not answered as the whole slide would be"
            )
    kept = side - 2 * margin
    if kept < stride * pool or kept % (stride * pool):
        raise ImportRefusedError(
            path,
            f"{side} px less two margins of {margin} px are no multiple of {stride * pool} px; "
            "choose another --patch-px, --margin or --pool",
        )
    return {"output": "map", "map": {"stride_px": stride, "margin_px": margin, "pool": pool}}


def reference_maps(path: Path, fields: dict[str, Any], answers: Floats) -> Floats:
    """What a reference keeps of the source's maps.

    Raises:
        ImportRefusedError: the maps do not fit the stride and the margin.
    """
    about = _described(fields)
    try:
        return thinned(probabilities(about, answers), about)
    except ValueError as error:
        raise ImportRefusedError(path, str(error)) from error


def _described(fields: dict[str, Any]) -> ModelDescription:
    pins = dict.fromkeys((GRAPH, GRAPH_WEIGHTS, REFERENCE), "")
    return ModelDescription.model_validate({**fields, "files": pins})


def _by_margin(
    source: Source, numbers: ModelDescription, stride: int, inputs: Floats
) -> Floats | None:
    """Largest difference of a patch's answers from those for it inside a larger image.

    Of large patches a part is taken: the image would be too large.

    Args:
        source: The model.
        numbers: What is known of it but for its map: each px of that is taken for an answer.
        stride: Px of the input for each px of the map.
        inputs: A patch as the network takes it.

    Returns:
        It by how many px of the map are cut at each side, from none on; None where the network
        takes one size only.
    """
    inputs = inputs[:, :, :_LARGE_PX, :_LARGE_PX]
    side = inputs.shape[2]
    around = -(-side // (4 * _BLOCK)) * _BLOCK
    if source.side is not None or around % stride or side % stride:
        return None
    wide = np.pad(inputs, ((0, 0), (0, 0), (around, around), (around, around)), mode="wrap")
    try:
        with tempfile.TemporaryDirectory() as folder:
            more = source.answer(wide, Path(folder))
            answers = source.answer(inputs, Path(folder))
    except ImportRefusedError:
        return None
    rows, more_rows = answers.shape[2], more.shape[2]
    first = (more_rows - rows) // 2
    if (more_rows - rows) * stride != 2 * around:
        return None
    inside = more[:, :, first : first + rows, first : first + rows]
    moved = np.abs(
        probabilities(numbers, as_rows(inside)) - probabilities(numbers, as_rows(answers))
    )
    worst = moved.reshape(rows, rows, -1).max(axis=2)
    cuts = range((rows + 1) // 2)
    return np.array([worst[cut : rows - cut, cut : rows - cut].max() for cut in cuts])


def _measured_margin(path: Path, differences: Floats | None, stride: int, side: int) -> int:
    if differences is None:
        raise ImportRefusedError(
            path,
            f"answers with a map and takes images of {side} px only; pass --margin, the px at each "
            "side whose answers are thrown away because it sees padding there",
        )
    settled = np.flatnonzero(differences <= _SETTLED)
    if not settled.size:
        raise ImportRefusedError(
            path,
            "its answers depend on all of the image, as those of networks do that normalise by an "
            f"image's own statistics (in the middle of {side} px still by "
            f"{float(differences[-1]):.2g}): tiles are not answered as the whole slide would be. "
            "Pass --margin, with a --patch-px as its maker uses, or one that covers the slide",
        )
    return int(settled[0]) * stride
