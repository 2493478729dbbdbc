"""A package with a fitted answer for slides: the same in all else, under a new version."""

from functools import partial
from pathlib import Path

from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.model.package_copy import write_copy
from wsi_pipeline.model.slide_level_section import SLIDE_LEVEL, SlideLevelSection
from wsi_pipeline.slide_level.region_fit import RegionFit, write_fit


def write_with_fit(
    package: ModelPackage,
    out: Path,
    section: SlideLevelSection,
    fit: RegionFit,
    *,
    version: str,
    overwrite: bool,
) -> ModelPackage:
    """Write a copy of a package with a fit, whole or not at all.

    Args:
        package: The model; an earlier fit of it is replaced.
        out: Where the copy goes; may be the package itself with ``overwrite``.
        section: What ``model.yaml`` says of the fit.
        fit: Its numbers.
        version: Of the copy.
        overwrite: Whether a package there may be replaced.

    Raises:
        PackageError: the description is not valid, or what goes with the package is damaged.
        UsageError: something else is there.
    """
    changes = {"version": version, "slide_level": section.model_dump(mode="json")}
    write = partial(write_fit, fit=fit)
    return write_copy(package, out, SLIDE_LEVEL, write, changes, overwrite=overwrite)
