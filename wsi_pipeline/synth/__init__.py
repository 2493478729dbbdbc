"""Seeded synthetic H&E lymph-node slides with planted tumour and exact truth.

::

    SynthSpec ──► Anatomy ──► Layout ──► Scene ──► Pyramid ──► NAME.tiff, NAME_mask.tiff, NAME.xml
    settings      coarse      tissue     any       encoded
                  fields      per 4 px   window    tiles
                                ▲
    seed, stain ──► textures ───┘
"""

from wsi_pipeline.synth.patches import PatchKind, render_patches
from wsi_pipeline.synth.spec import SynthSpec, parse_size, parse_tumour
from wsi_pipeline.synth.stains import STAINS, Stain
from wsi_pipeline.synth.writer import SynthSlide, truth_paths, write_slide

__all__ = [
    "STAINS",
    "PatchKind",
    "Stain",
    "SynthSlide",
    "SynthSpec",
    "parse_size",
    "parse_tumour",
    "render_patches",
    "truth_paths",
    "write_slide",
]
