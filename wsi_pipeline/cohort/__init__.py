"""Cohorts: which slides there are, what is known of each, and who is trained on and who is not."""

from wsi_pipeline.cohort.table import (
    Annotated,
    Cohort,
    CohortSlide,
    Label,
    Split,
    read_cohort,
    write_cohort,
)

__all__ = [
    "Annotated",
    "Cohort",
    "CohortSlide",
    "Label",
    "Split",
    "read_cohort",
    "write_cohort",
]
