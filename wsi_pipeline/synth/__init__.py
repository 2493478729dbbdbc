"""Seeded synthetic H&E lymph-node slides with planted tumour and other kinds, and exact truth.

::

    SynthSpec ──► Anatomy ──► Layout ──► Scene ──► Pyramid ──► NAME.tiff, NAME_mask.tiff, NAME.xml
    settings      coarse      tissue     any       encoded
                  fields      per 4 px   window    tiles
                                ▲
    seed, stain ──► textures ───┘
"""

from wsi_pipeline.synth.patches import PatchKind, PatchSpread, labelled_patches, render_patches
from wsi_pipeline.synth.planting import CLASSES, KINDS, Plant, parse_plants, parse_tumour
from wsi_pipeline.synth.spec import SynthSpec, parse_size
from wsi_pipeline.synth.stains import STAINS, Stain
from wsi_pipeline.synth.wanted import Wanted, parse_artefacts
from wsi_pipeline.synth.writer import (
    SynthSlide,
    artefacts_path,
    class_mask_path,
    truth_paths,
    write_slide,
)

__all__ = [
    "CLASSES",
    "KINDS",
    "STAINS",
    "PatchKind",
    "PatchSpread",
    "Plant",
    "Stain",
    "SynthSlide",
    "SynthSpec",
    "Wanted",
    "artefacts_path",
    "class_mask_path",
    "labelled_patches",
    "parse_artefacts",
    "parse_plants",
    "parse_size",
    "parse_tumour",
    "render_patches",
    "truth_paths",
    "write_slide",
]
