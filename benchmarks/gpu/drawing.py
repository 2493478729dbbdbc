"""Draws the large slide beside the other steps: with two threads it takes minutes."""

import time

from benchmarks.gpu.rows import Rows
from benchmarks.gpu.setting import Setting
from wsi_pipeline.synth import SynthSpec, parse_size, write_slide


def measure(setting: Setting, rows: Rows) -> None:
    """Draw it unless it is there."""
    began = time.perf_counter()
    if not setting.large_slide.exists():
        write_slide(SynthSpec(parse_size(setting.large_size), seed=5), setting.large_slide)
    rows.keep("seconds", time.perf_counter() - began)
