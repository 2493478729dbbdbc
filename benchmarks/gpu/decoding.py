"""Decoding on a GPU beside decoding on the CPU: the same tiles of the same slide.

``cpu, tiles``, ``nvImageCodec, tiles``: the compressed tiles of level 0 as whole JPEG files in
memory, to RGB. ``cpu, patches``, ``cuCIM, patches``: patches of the plan out of the slide's file,
as a run reads them. What is not installed says so; the project needs neither.
"""

import importlib.util
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import imagecodecs
import numpy as np
import tifffile

from benchmarks.gpu.rows import NOT_INSTALLED, NOT_MEASURED, Rows
from benchmarks.gpu.setting import Setting
from wsi_pipeline.run.preparation import Preparation
from wsi_pipeline.tiles.patches import read_input

#: JPEG tiles that are decoded, spread over the slide, and how many nvImageCodec is given at once.
_TILES, _AT_ONCE = 4096, 256


def measure(setting: Setting, rows: Rows) -> None:
    """Four rows."""
    cores = len(os.sched_getaffinity(0))
    prepared = setting.prepared()
    tiles = jpeg_tiles(setting)
    rows.measure("cpu, tiles", lambda: _decoded_by_cpu(tiles, cores))
    rows.measure("cpu, patches", lambda: _read_by_cpu(prepared, cores))
    for row, module, look in (
        ("nvImageCodec, tiles", "nvidia.nvimgcodec", lambda: _decoded_by_gpu(tiles)),
        ("cuCIM, patches", "cucim", lambda: _read_by_gpu(setting, prepared, cores)),
    ):
        if not _is_installed(module):
            rows.keep(row, NOT_INSTALLED)
        elif not setting.on_gpu:
            rows.keep(row, NOT_MEASURED)
        else:
            rows.measure(row, look)


def jpeg_tiles(setting: Setting) -> list[bytes]:
    """Compressed tiles of level 0, each a whole JPEG file with its tables."""
    with tifffile.TiffFile(setting.slide) as tiff:
        page = tiff.pages.first
        handle, tables = tiff.filehandle, page.jpegtables
        places = list(zip(page.dataoffsets, page.databytecounts, strict=True))
        tiles = []
        for offset, count in places[:: max(1, len(places) // _TILES)]:
            if count:
                handle.seek(offset)
                tiles.append(whole_jpeg(handle.read(count), tables))
    return tiles


def whole_jpeg(tile: bytes, tables: bytes | None) -> bytes:
    """A TIFF tile without tables of its own as a JPEG file (TIFF Technical Note 2).

    Args:
        tile: Its compressed bytes.
        tables: Those the tiles share, between a start and an end of their own; None: none.
    """
    return tile if tables is None else tables[:-2] + tile[2:]


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def _rate(what: str, count: int, px: int, work: Callable[[], object]) -> dict[str, Any]:
    began, cpu = time.perf_counter(), time.process_time()
    work()
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    return {
        what: count,
        "seconds": seconds,
        f"{what}_per_second": count / seconds,
        "mpx_per_second": px / seconds / 1e6,
        "cpu_seconds": cpu,
    }


def _rgb(tile: bytes) -> Any:
    return imagecodecs.jpeg8_decode(tile, outcolorspace="RGB")


def _decoded_by_cpu(tiles: Sequence[bytes], cores: int) -> dict[str, Any]:
    px = _rgb(tiles[0]).shape[0] * _rgb(tiles[0]).shape[1]
    with ThreadPoolExecutor(cores) as pool:
        found = _rate("tiles", len(tiles), px * len(tiles), lambda: list(pool.map(_decoded, tiles)))
    return found | {"threads": cores}


def _decoded(tile: bytes) -> int:
    return len(_rgb(tile))  # not the px themselves, which all together would fill the memory


def _read_by_cpu(prepared: Preparation, cores: int) -> dict[str, Any]:
    plan, grid = prepared.plan, prepared.plan.grid

    def read(cell: Any) -> int:
        return len(read_input(prepared.reader, grid, int(cell[0]), int(cell[1])))

    px = len(plan) * grid.read_px**2
    with ThreadPoolExecutor(cores) as pool:
        found = _rate("patches", len(plan), px, lambda: list(pool.map(read, plan.cells)))
    return found | {"threads": cores}


def _decoded_by_gpu(tiles: Sequence[bytes]) -> dict[str, Any]:
    import torch  # noqa: PLC0415 - takes seconds
    from nvidia import nvimgcodec  # noqa: PLC0415 - not everywhere

    # Without these it would silently decode on the CPU where its nvJPEG is not installed.
    kinds = (nvimgcodec.HW_GPU_ONLY, nvimgcodec.GPU_ONLY, nvimgcodec.HYBRID_CPU_GPU)
    torch.cuda.init()  # type: ignore[no-untyped-call]  # torch types it not; before the time counts
    decoder = nvimgcodec.Decoder(backends=[nvimgcodec.Backend(kind) for kind in kinds])
    first = np.asarray(decoder.decode(list(tiles[:_AT_ONCE]))[0].cpu())  # starts the decoder
    difference = np.abs(first.astype(int) - _rgb(tiles[0])).max()

    def decode() -> None:
        for start in range(0, len(tiles), _AT_ONCE):
            decoder.decode(list(tiles[start : start + _AT_ONCE]))
        torch.cuda.synchronize()

    px = first.shape[0] * first.shape[1] * len(tiles)
    about = {"version": nvimgcodec.__version__, "max_difference_from_cpu": int(difference)}
    return _rate("tiles", len(tiles), px, decode) | about


def _read_by_gpu(setting: Setting, prepared: Preparation, cores: int) -> dict[str, Any]:
    import cucim  # noqa: PLC0415 - not everywhere
    import torch  # noqa: PLC0415 - takes seconds

    grid, side = prepared.plan.grid, prepared.plan.grid.read_px
    corners = [grid.read_corner(int(x), int(y)) for x, y in prepared.plan.cells]
    places = [(int(x * grid.downsample), int(y * grid.downsample)) for x, y in corners]
    torch.cuda.init()  # type: ignore[no-untyped-call]  # torch types it not; before the time counts
    slide = cucim.CuImage(str(setting.slide))

    def regions() -> Iterator[Any]:
        yield from slide.read_region(
            places,
            (side, side),
            level=grid.level,
            batch_size=64,
            num_workers=cores,
            device=setting.device.partition(":")[0],
        )

    def read() -> None:
        for _ in regions():
            pass
        torch.cuda.synchronize()

    found = _rate("patches", len(places), len(places) * side**2, read)
    return found | {"version": cucim.__version__}
