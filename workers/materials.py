"""What orders name, found on this host: packages and slides; and problems that name neither."""

from pathlib import Path
from typing import Any

from wsi_pipeline.analysis_settings import AnalysisSettings
from wsi_pipeline.errors import DamagedSlideError, PackageError, UsageError, WsiError
from wsi_pipeline.model.catalogue import ModelCatalogue
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.service.jobs.submission import fingerprint_of
from wsi_pipeline.service.slides import LINKED
from wsi_pipeline.storage import Storage


def installed_package(models: ModelCatalogue, name: str, sha256: str) -> ModelPackage:
    """The package that was meant.

    Raises:
        PackageError: it is not here, or another one.
    """
    package = models.get(name)
    if package.sha256 != sha256:
        raise PackageError(name, "is another one here than when this was asked for")
    return package


def settings_of(
    config: dict[str, Any], package: ModelPackage, fingerprint: str
) -> AnalysisSettings:
    """The settings of a job, read as the server reads them.

    Raises:
        UsageError: they come to something else here.
    """
    analysis = AnalysisSettings.model_validate(config)
    if fingerprint_of(package, analysis) != fingerprint:
        raise UsageError(
            "this worker reads the job's settings differently from the server: one of them "
            "has another version"
        )
    return analysis


def slide_path(storage: Storage, location: str, copies: Path) -> Path:
    """A slide's file on this host.

    Args:
        storage: The service's.
        location: Key in storage, or ``file:`` and a path.
        copies: Folder for local copies of stored slides.

    Raises:
        DamagedSlideError: it is gone.
    """
    if location.startswith(LINKED):
        path = Path(location.removeprefix(LINKED))
        if not path.exists():
            raise DamagedSlideError(path, "the linked file does not exist any more")
        return path
    try:
        return storage.local_path(location, copies)
    except FileNotFoundError as error:
        raise DamagedSlideError(location, "it is no longer in the storage") from error


def without_names(problem: dict[str, Any], location: str, folder: str = "") -> dict[str, Any]:
    """A problem detail that tells no path.

    Files linked from elsewhere have names of their own, which may be of patients.

    Args:
        problem: With whatever names libraries put there.
        location: Of the slide it is about.
        folder: Where work on it lies.
    """
    linked = location.startswith(LINKED)
    path = Path(location.removeprefix(LINKED))
    detail = str(problem["detail"])
    # Stored files have names of ours, which are words that messages use, too.
    stem = path.stem if linked else ""
    for text in (str(path), str(path.parent), path.name, stem, folder):
        detail = detail.replace(text, "the slide") if len(text) > 1 else detail
    return {**problem, "detail": detail}


def unexpected(error: Exception) -> WsiError:
    """What is told of an error that is nobody's: the log has the rest."""
    if isinstance(error, OSError) and error.strerror:
        return WsiError(f"the worker could not continue: {error.strerror}")
    return WsiError(f"an unexpected {type(error).__name__}; see the worker's log")
