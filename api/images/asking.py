"""Asking a model about an image."""

from api.dependencies import Services
from wsi_pipeline.images.classification import check_answers_classes
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.service.access import Access
from wsi_pipeline.service.images import StoredImage
from wsi_pipeline.service.question import Question


def package_for_images(services: Services, model: str) -> ModelPackage:
    """The package of a name, if it can answer for single images; blocks.

    Raises:
        PackageError: there is none, it is not sound, or it answers with maps.
    """
    package = services.models.get(model)
    check_answers_classes(package.description, model)
    return package


def ask(
    services: Services,
    access: Access,
    kind: str,
    image: StoredImage,
    model: str,
    package: ModelPackage,
) -> Question:
    """Ask at once what somebody waits for; blocks. The same question again is the first one.

    Args:
        services: The application's.
        access: Who asks.
        kind: ``classify`` or ``explain``.
        image: About which.
        model: Name of the package.
        package: The package.
    """
    asked = image.question(kind, model, package.sha256)
    return services.questions.ask(
        access,
        asked.kind,
        asked.subject,
        asked.facts,
        asked.model,
        asked.model_sha256,
        urgent=True,
    )
