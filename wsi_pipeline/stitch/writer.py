"""Writing a result: beside its final name, made durable, then moved into place as a whole."""

import hashlib
import zipfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.codecs import BytesCodec, Crc32cCodec, ZstdCodec

from wsi_pipeline import durable
from wsi_pipeline.classes import Classes
from wsi_pipeline.errors import ResultExistsError
from wsi_pipeline.geometry import PerAxis
from wsi_pipeline.slide.info import Level
from wsi_pipeline.stitch import layout
from wsi_pipeline.stitch.cells import Cells, stitch_cells
from wsi_pipeline.stitch.checksums import attributes_digest
from wsi_pipeline.stitch.feature_array import FeatureArray
from wsi_pipeline.stitch.mask import DrawnLevel
from wsi_pipeline.stitch.shard import ZSTD_LEVEL, ShardEncoder
from wsi_pipeline.tiles.plan import Plan


def write_store(
    folder: Path,
    *,
    name: str,
    plan: Plan,
    probabilities: NDArray[np.float32],
    cells: Cells,
    threshold: float,
    levels: tuple[Level, ...],
    attributes: Mapping[str, Any],
    extras: Mapping[str, NDArray[np.float32]] = {},
    features: FeatureArray | None = None,
    quality: NDArray[np.uint8] | None = None,
    attention: NDArray[np.float32] | None = None,
) -> None:
    """Write a complete result store into a new folder and make it durable.

    Memory: a few chunks of the mask (1 MiB each) at a time, however large the slide.

    Args:
        folder: Must not exist yet.
        name: Of the image, the slide's.
        plan: The tiles.
        probabilities: One row per tile in plan order, ``(n,)`` of a binary model, else
            ``(n, planes)``; of maps their means; NaN = unreadable. Of an encoder not written.
        cells: What they were stitched to.
        threshold: Decides the mask.
        levels: The slide's levels, finest first.
        attributes: For ``wsi_pipeline`` in the root's metadata; ``format``, ``arrays`` and
            ``digest`` are added.
        features: Of the tiles, if they are kept.
        extras: More arrays of ``tiles/`` by name, ``(n,)`` in plan order; NaN = unreadable.
        quality: Reasons of every tile of the grid, uint8 ``(rows, columns)`` of tiles; None
            where nobody looked.
        attention: Rank of each tile, ``(n,)`` in plan order; NaN = unreadable; None: there is none.
    """
    if attention is not None:
        extras = {**extras, layout.ATTENTION: attention}
    hashes: dict[str, str] = {}
    masks = [layout.mask_name(cells.classes)] if cells.classes.members else []
    root = zarr.create_group(folder, zarr_format=3)
    drawn = _draw(plan, cells, threshold, levels) if masks else []
    depth = len(levels) - plan.grid.level
    # Hashing the mask takes longest: it goes on beside all writing. Level 0 has three quarters of
    # the px, the second thread does the others.
    with ThreadPoolExecutor(2) as hasher:
        pending = {
            f"{layout.LABELS}/{masks[0]}/{index}": hasher.submit(level.sha256)
            for index, level in enumerate(drawn)
        }
        # OME-Zarr wants an image and its labels to have equally many levels.
        _write_probability(root, name, plan, cells, depth, hashes)
        labels = root.create_group("labels")
        labels.attrs["ome"] = {
            "version": layout.NGFF_VERSION,
            "labels": [*masks, "coverage", *([] if quality is None else ["quality"])],
        }
        if masks:
            _write_labels(root, folder, plan, cells.classes, drawn, levels)
        _write_coverage(root, plan, cells, depth, hashes)
        _write_tiles(root, plan, probabilities, extras, hashes)
        if quality is not None:
            _write_quality(root, plan, quality, depth, hashes)
        if features is not None:
            hashes[layout.FEATURE_VALUES] = features.write(root)
        if attention is not None:
            _write_attention(root, plan, attention, depth, hashes)
        hashes.update({path: future.result() for path, future in pending.items()})
    ours = {
        "format": layout.FORMAT_VERSION,
        **attributes,
        "arrays": hashes,
        "metadata": metadata_hashes(folder, root.attrs["ome"]),
    }
    root.attrs[layout.ATTRIBUTES] = {**ours, "digest": attributes_digest(ours)}
    durable.sync_tree(folder)


def publish(folder: Path, final: Path, *, overwrite: bool = False) -> None:
    """Move a complete store to its final name; readers see nothing or all of it.

    Args:
        folder: The store, durable as :func:`write_store` leaves it.
        final: Its name.
        overwrite: Whether an older result may be replaced.

    Raises:
        ResultExistsError: something is there already.
    """
    try:
        durable.publish_folder(folder, final, replace=overwrite)
    except FileExistsError as error:
        cause = "exists already; remove it or use --overwrite"
        raise ResultExistsError(final, cause) from error


def metadata_hashes(store: Path, ome: Any) -> dict[str, str]:
    """SHA-256 (hex) of every ``zarr.json`` below the root, and of the root's ``ome`` attributes.

    Args:
        store: The store's folder, or a ZIP of it.
        ome: The root's ``ome`` attributes; its own file also holds these hashes.
    """
    if store.is_file():
        with zipfile.ZipFile(store) as archive:
            files = {
                name: archive.read(name)
                for name in archive.namelist()
                if name.endswith("/zarr.json")
            }
    else:
        files = {
            path.relative_to(store).as_posix(): path.read_bytes()
            for path in store.glob("*/**/zarr.json")
        }
    hashes = {name: hashlib.sha256(data).hexdigest() for name, data in sorted(files.items())}
    return {**hashes, "ome": attributes_digest({"ome": ome})}


def _write_probability(
    root: zarr.Group,
    name: str,
    plan: Plan,
    cells: Cells,
    levels: int,
    hashes: dict[str, str],
) -> None:
    values, datasets = cells.probability, layout.grid_datasets(plan.grid.cells, levels)
    for path, _ in datasets:
        _write_small(root, path, values, layout.PROBABILITY_FILL, hashes)
        values = _halved(values)
    planes = values.ndim > 2
    entry = layout.multiscale(name, datasets, plan.grid.mpp_0, "maximum", planes=planes)
    ome: dict[str, Any] = {"version": layout.NGFF_VERSION, "multiscales": [entry]}
    if planes:
        ome["omero"] = {"channels": layout.channels(cells.classes)}
    root.attrs["ome"] = ome


def _draw(
    plan: Plan, cells: Cells, threshold: float, levels: tuple[Level, ...]
) -> list[DrawnLevel]:
    """The mask at the analysis level and every coarser one of the slide."""
    decision, grid = cells.decision(threshold), plan.grid.cells
    return [
        DrawnLevel(
            decision,
            grid.column_edges(level.downsample, level.size.width),
            grid.row_edges(level.downsample, level.size.height),
        )
        for level in levels[grid.level :]
    ]


def _write_labels(
    root: zarr.Group,
    folder: Path,
    plan: Plan,
    classes: Classes,
    drawn: list[DrawnLevel],
    levels: tuple[Level, ...],
) -> None:
    grid, path = plan.grid, layout.mask_path(classes)
    group = root.create_group(path)
    datasets: list[tuple[str, PerAxis]] = []
    for index, (level, of_level) in enumerate(zip(levels[grid.level :], drawn, strict=True)):
        _write_mask(group, folder / path, str(index), of_level)
        datasets.append((str(index), PerAxis.of(level.downsample)))
    entry = layout.multiscale(layout.mask_name(classes), datasets, grid.mpp_0, "nearest")
    group.attrs["ome"] = {
        "version": layout.NGFF_VERSION,
        "multiscales": [entry],
        "image-label": layout.mask_label(classes),
    }


def _write_coverage(
    root: zarr.Group, plan: Plan, cells: Cells, levels: int, hashes: dict[str, str]
) -> None:
    group = root.create_group(layout.COVERAGE_LABEL)
    values, datasets = cells.coverage, layout.grid_datasets(plan.grid.cells, levels)
    for path, _ in datasets:
        label = f"{layout.COVERAGE_LABEL}/{path}"
        _write_small(root, label, values, layout.COVERAGE_FILL, hashes)
        values = values[::2, ::2]
    group.attrs["ome"] = {
        "version": layout.NGFF_VERSION,
        "multiscales": [layout.multiscale("coverage", datasets, plan.grid.mpp_0, "nearest")],
        "image-label": layout.coverage_label(),
    }


def _write_quality(
    root: zarr.Group,
    plan: Plan,
    quality: NDArray[np.uint8],
    levels: int,
    hashes: dict[str, str],
) -> None:
    """The reasons of each cell, which are its tile's, and of each tile in plan order."""
    group, grid = root.create_group(layout.QUALITY_LABEL), plan.grid
    side, size = grid.cells_per_tile, grid.cells.size
    values = quality.repeat(side, 0).repeat(side, 1)[: size.height, : size.width]
    label = layout.quality_label(np.unique(values).tolist())
    datasets = layout.grid_datasets(grid.cells, levels)
    for path, _ in datasets:
        _write_small(root, f"{layout.QUALITY_LABEL}/{path}", values, layout.QUALITY_FILL, hashes)
        values = values[::2, ::2]
    group.attrs["ome"] = {
        "version": layout.NGFF_VERSION,
        "multiscales": [layout.multiscale("quality", datasets, grid.mpp_0, "nearest")],
        "image-label": label,
    }
    own = quality[plan.cells[:, 1], plan.cells[:, 0]]
    _write_small(root, f"{layout.TILES}/quality", own, layout.QUALITY_FILL, hashes)


def _write_attention(
    root: zarr.Group,
    plan: Plan,
    attention: NDArray[np.float32],
    levels: int,
    hashes: dict[str, str],
) -> None:
    """The attention as an image of the grid: where patches overlap, the mean of their ranks."""
    values = stitch_cells(plan, [(plan.cells, attention)]).probability
    group, datasets = (
        root.create_group(layout.ATTENTION),
        layout.grid_datasets(plan.grid.cells, levels),
    )
    for path, _ in datasets:
        place = f"{layout.ATTENTION}/{path}"
        _write_small(root, place, values, layout.PROBABILITY_FILL, hashes)
        values = _halved(values)
    entry = layout.multiscale(layout.ATTENTION, datasets, plan.grid.mpp_0, "maximum")
    group.attrs["ome"] = {"version": layout.NGFF_VERSION, "multiscales": [entry]}


def _write_tiles(
    root: zarr.Group,
    plan: Plan,
    probabilities: NDArray[np.float32],
    extras: Mapping[str, NDArray[np.float32]],
    hashes: dict[str, str],
) -> None:
    root.create_group(layout.TILES)
    corners = plan.grid.corners_0(plan.cells)
    # Of an encoder there are none.
    answers = (
        {"probability": (probabilities, layout.PROBABILITY_FILL)}
        if probabilities.shape[1:] != (0,)
        else {}
    )
    columns: dict[str, tuple[NDArray[Any], float]] = {
        "x": (corners[:, 0], layout.POSITION_FILL),
        "y": (corners[:, 1], layout.POSITION_FILL),
        "tissue": (plan.tissue, layout.PROBABILITY_FILL),
        **answers,
        **{name: (values, layout.PROBABILITY_FILL) for name, values in extras.items()},
    }
    for key, (values, fill) in columns.items():
        _write_small(root, f"{layout.TILES}/{key}", values, fill, hashes)


def _write_small(
    root: zarr.Group, path: str, values: NDArray[Any], fill: float, hashes: dict[str, str]
) -> None:
    """An array that fits into memory, in chunks small enough for a viewer."""
    name = path.split("/", maxsplit=1)[0]
    if name == layout.TILES:
        sides, axes = (layout.GRID_CHUNK**2, *values.shape[1:]), ("tile", "class")[: values.ndim]
    else:
        sides, axes = (
            (1, layout.GRID_CHUNK, layout.GRID_CHUNK)[-values.ndim :],
            ("c", "y", "x")[-values.ndim :],
        )
    array = root.create_array(
        path,
        shape=values.shape,
        dtype=values.dtype,
        chunks=tuple(max(1, min(side, n)) for side, n in zip(sides, values.shape, strict=True)),
        fill_value=fill,
        filters=[],
        serializer=BytesCodec(),
        compressors=[ZstdCodec(level=3), Crc32cCodec()],
        dimension_names=axes,
        config={"write_empty_chunks": True},
    )
    if values.size:
        array[...] = values
    hashes[path] = hashlib.sha256(np.ascontiguousarray(values).data).hexdigest()


def _write_mask(group: zarr.Group, folder: Path, path: str, drawn: DrawnLevel) -> None:
    """A level of the mask; ``folder`` is where ``group`` is stored."""
    size = drawn.size
    chunk = min(layout.MASK_CHUNK, max(size.width, size.height))
    per_side = max(1, layout.MASK_SHARD // layout.MASK_CHUNK)
    shard = chunk * per_side
    group.create_array(
        path,
        shape=(size.height, size.width),
        dtype=np.uint8,
        chunks=(chunk, chunk),
        shards=(shard, shard),
        fill_value=layout.MASK_FILL,
        filters=[],
        serializer=BytesCodec(),
        compressors=[ZstdCodec(level=ZSTD_LEVEL), Crc32cCodec()],
        dimension_names=("y", "x"),
    )
    encoder = ShardEncoder(drawn, chunk, per_side, layout.MASK_FILL)
    for row in range(-(-size.height // shard)):
        place = folder / path / "c" / str(row)
        place.mkdir(parents=True)
        for column in range(-(-size.width // shard)):
            (place / str(column)).write_bytes(encoder.encode(row, column))


def _halved(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Maxima of 2 × 2 cells, NaN only where all are: a small focus must not fade in overviews."""
    *planes, rows, columns = values.shape
    odd = [(0, 0)] * len(planes) + [(0, rows % 2), (0, columns % 2)]
    padded = np.pad(values, odd, constant_values=np.nan)
    quads = padded.reshape(*planes, padded.shape[-2] // 2, 2, padded.shape[-1] // 2, 2)
    largest: NDArray[np.float32] = np.fmax.reduce(np.fmax.reduce(quads, axis=-1), axis=-2)
    return largest
