"""From what somebody asks for to what the job store keeps: the one place where both meet."""

from wsi_pipeline.analysis_settings import AnalysisSettings
from wsi_pipeline.errors import UsageError
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.service.jobs.requests import JobRequest


def make_request(
    slide_id: str,
    model: str,
    package: ModelPackage,
    config: AnalysisSettings,
    *,
    priority: int = 0,
    webhook: str | None = None,
) -> JobRequest:
    """A job to be created.

    Args:
        slide_id: The slide.
        model: The name the package is found by.
        package: The package.
        config: The settings, complete: what the service's own settings decide is filled in.
        priority: Higher is sooner.
        webhook: Address told when the job is through.

    Raises:
        UsageError: the settings contradict each other or the package.
    """
    if config.mpp is not None and config.level is not None:
        raise UsageError("give mpp or level, not both")
    side, cell = package.description.tile_px, package.description.cell_px or 1
    if config.stride is not None and config.stride > side:
        raise UsageError(
            f"stride {config.stride} is larger than the model's patch of {side} px and would "
            "leave tissue unclassified"
        )
    if config.stride is not None and config.stride % cell:
        raise UsageError(
            f"stride {config.stride} is not a multiple of the model's map cells of {cell} px"
        )
    return JobRequest(
        slide_id=slide_id,
        model=model,
        model_sha256=package.sha256,
        config=config.model_dump(mode="json", exclude_defaults=True),
        fingerprint=fingerprint_of(package, config),
        priority=priority,
        webhook=webhook,
    )


def fingerprint_of(package: ModelPackage, config: AnalysisSettings) -> str:
    """SHA-256 (hex) of the settings, with what they leave to the package filled in."""
    description = package.description
    return config.fingerprint(
        mpp=description.mpp,
        level=description.level,
        stride=description.tile_px,
        threshold=description.threshold.value,
    )
