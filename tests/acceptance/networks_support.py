"""Packages with networks behind their features, of random weights."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.model.slide_level_section import TileNetwork
from wsi_pipeline.slide_level.attention.design import HeadDesign
from wsi_pipeline.slide_level.attention.head_file import HEADS, Heads, save_heads, shapes
from wsi_pipeline.slide_level.calibration import SlideCalibration
from wsi_pipeline.testing.copies import copy_package

_SECTION = {
    "classes": ["normal", "tumour"],
    "negative": "normal",
    "fitted": "drawn numbers",
    "slides": {"normal": 30, "tumour": 30},
    "patients": 60,
    "calibration": {"method": "one slope", "fitted": "drawn numbers"},
    "rule": {"slides": 60, "positives": 30, "needed": 45, "suspicious_from": 0.0},
}


def with_networks(
    package: ModelPackage, folder: Path, kind: TileNetwork = "abmil", features: int = 64
) -> tuple[ModelPackage, Heads]:
    """A copy of a package with three networks of random weights."""
    design = HeadDesign(kind=kind, features=features, outputs=2, hidden=16, attention=8)
    rng = np.random.default_rng(5)
    members = tuple(
        {
            name: rng.normal(0, 0.3, shape).astype(np.float32)
            for name, shape in shapes(design).items()
        }
        for _ in range(3)
    )
    heads = Heads(design, members)
    calibration = SlideCalibration(1.0, np.zeros(2), np.array([[1.0, 0, 0], [0.8, 0, 0.1]] * 20))
    copy_package(package, folder)
    save_heads(folder / HEADS, heads, calibration)
    made = copy_package(
        replace(package, folder=folder),
        folder.with_name(f"{folder.name}-described"),
        slide_level={**_SECTION, "kind": kind},
    )
    return made, heads
