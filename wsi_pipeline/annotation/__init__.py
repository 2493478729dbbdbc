"""Annotations: where people say the tumour is, read from the formats they say it in."""

from wsi_pipeline.annotation.opening import open_truth
from wsi_pipeline.annotation.outline import OutlineTruth
from wsi_pipeline.annotation.truth import Truth, TruthKind

__all__ = ["OutlineTruth", "Truth", "TruthKind", "open_truth"]
