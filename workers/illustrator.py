"""Pictures of what an answer rests on. Needs torch and captum, but only once one is asked for."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.errors import PackageError, UsageError
from wsi_pipeline.images.placement import Placement
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.model.runtime import resolve_device

if TYPE_CHECKING:
    from wsi_pipeline.images.explanation.explainer import Explainer


class Illustrator:
    """Draws explanations, and keeps the network of the package that was asked for last.

    Args:
        device: ``auto``, ``cpu`` or ``cuda:N``.
    """

    def __init__(self, device: str) -> None:
        self._device = device
        self._kept: tuple[str, Explainer] | None = None

    def draw(
        self,
        package: ModelPackage,
        index: int,
        pixels: NDArray[np.uint8],
        square: NDArray[np.uint8],
        placement: Placement,
    ) -> tuple[bytes, str]:
        """An image beside the same under its map, as ``wsi classify --explain`` draws it.

        Args:
            package: The model.
            index: Of the class that is explained, in the order of the classes.
            pixels: The image, ``(height, width, 3)`` RGB.
            square: The same as the model is given it, ``(patch, patch, 3)`` RGB.
            placement: Where the image lies in the square.

        Returns:
            The bytes of a JPEG file, and the method.

        Raises:
            PackageError: this model, or this worker, cannot explain.
        """
        explainer = self._explainer(package)
        from wsi_pipeline.images.explanation.pictures import as_jpeg  # noqa: PLC0415 - with torch

        heat = explainer(square[None], np.array([index]))[0]
        return as_jpeg(pixels, heat, explainer.frame, placement), explainer.method

    def _explainer(self, package: ModelPackage) -> "Explainer":
        if self._kept is not None and self._kept[0] == package.sha256:
            return self._kept[1]
        try:
            from wsi_pipeline.images.explanation.explainer import load_explainer  # noqa: PLC0415
        except ModuleNotFoundError as error:
            raise PackageError(
                package.name,
                f"its answers cannot be explained by this worker, where {error.name} is not "
                "installed; install it there: pip install 'wsi-pipeline[images]'",
            ) from error
        self._kept = None  # at most one in memory
        explainer = load_explainer(package, resolve_device(self._device))
        self._kept = package.sha256, explainer
        return explainer


def class_index(package: ModelPackage, name: str) -> int:
    """Where a class stands among those of a model.

    Raises:
        UsageError: it has no such class.
    """
    names = package.description.classification.names
    if name not in names:
        raise UsageError(f"the model has no class {name!r}; it has {', '.join(names)}")
    return names.index(name)
