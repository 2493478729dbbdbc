"""What stain normalisation costs beside the model: CPU time per tile, all in one process.

``python -m benchmarks.stain`` prints one JSON object:

* ``model_ms``: CPU milliseconds that the model takes for a tile, on all threads together, in the
  precision that is asked for;
* ``macenko_ms``, ``reinhard_ms``, ``vahadane_ms``: of normalising one tile;
* ``macenko_share`` and so on: those over the model's. Where the processor is what limits a run,
  that is the share of throughput it costs, at most: reading is not counted, which takes time too;
* ``fit_ms``: wall time of finding a slide's stain in 64 tiles' px, once a slide.

CPU time, not seconds: others on the machine do not count.
"""

import argparse
import json
import time
from collections.abc import Callable

import numpy as np

from wsi_pipeline.model.admission import load_predictor
from wsi_pipeline.model.predictor import predict_all
from wsi_pipeline.model.runtime import RuntimeRequest
from wsi_pipeline.provided import find_or_build
from wsi_pipeline.settings import Settings
from wsi_pipeline.stain.appearance import METHODS
from wsi_pipeline.stain.fit import fit_stain
from wsi_pipeline.stain.normalisation import StainTarget
from wsi_pipeline.testing.stained import draw_stained

#: Px of 64 tiles of 299 px at 0.5 µm, seen at 2 µm.
_FIT_PX = 64 * 75**2


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="demo")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--tiles", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    settings = Settings()
    package = find_or_build(arguments.model, settings, lambda _: None)
    request = RuntimeRequest("cpu", arguments.precision, settings.cache_dir)
    threshold = package.description.threshold.value
    predictor = load_predictor(package, request, threshold=threshold)
    known = package.calibration()
    patches = known[np.arange(arguments.tiles) % len(known)]

    def least(clock: Callable[[], float], work: Callable[[], object]) -> float:
        """Milliseconds for each tile, of the fastest repeat."""
        seconds: list[float] = []
        for _ in range(arguments.repeats):
            began = clock()
            work()
            seconds.append(clock() - began)
        return float(1000 * min(seconds) / arguments.tiles)

    predict_all(predictor, patches)
    model = least(time.process_time, lambda: predict_all(predictor, patches))
    predictor.close()
    found: dict[str, float | str] = {
        "model": f"{package.name}, {package.description.patch_px} px, {predictor.info.precision}",
        "model_ms": model,
    }
    side = package.description.patch_px
    source = draw_stained(side, side * 2, strength=(0.8, 0.9), glass=side // 2)
    target = draw_stained(side, side * 2, strength=(1.1, 1.0))
    tiles = [np.ascontiguousarray(source[:, x : x + side]) for x in range(0, side, side // 8)]
    for method in METHODS:
        appearance = fit_stain(method, target.reshape(-1, 3)).appearance
        assert appearance is not None
        recolour = StainTarget(method, appearance).fitted(source.reshape(-1, 3)).recolouring()
        spent = least(
            time.thread_time,
            lambda recolour=recolour: [recolour(tiles[i % 8]) for i in range(arguments.tiles)],  # type: ignore[misc]  # mypy infers no type for a lambda's default
        )
        found |= {f"{method}_ms": spent, f"{method}_share": spent / model}
    px = np.resize(source.reshape(-1, 3), (_FIT_PX, 3))
    found["fit_ms"] = arguments.tiles * least(time.perf_counter, lambda: fit_stain("macenko", px))
    rounded = {key: one if isinstance(one, str) else round(one, 4) for key, one in found.items()}
    print(json.dumps(rounded, indent=1))


if __name__ == "__main__":
    main()
