"""Maps of a package's answers, by the method that fits its network."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wsi_pipeline.errors import PackageError
from wsi_pipeline.images.classification import check_layers
from wsi_pipeline.images.explanation.gradcam import GradCam, feature_layer
from wsi_pipeline.images.explanation.heat import InputFrame
from wsi_pipeline.images.explanation.rollout import Rollout, has_attention
from wsi_pipeline.model.description import ModelDescription
from wsi_pipeline.model.network import Classifier, load_classifier
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.model.preprocessing import Preparer


class Explainer:
    """Explains the answers of one model. Not to be shared between threads.

    Args:
        classifier: In evaluation mode, on the device to compute on. Its weights are frozen.
        description: Of the model.

    Attributes:
        method: What computes the maps, with its source.
        frame: Of the maps.

    Raises:
        PackageError: its network cannot be looked into.
    """

    def __init__(self, classifier: Classifier, description: ModelDescription) -> None:
        self._classifier, self._device = classifier, classifier.mean.device
        self._prepare = Preparer(description)
        self.frame = InputFrame.of(description)
        classes = description.classification
        self._single = description.units == 1
        self._positive_first = classes.names.index(classes.positive) == 0
        self._rollout = self._gradcam = None
        if has_attention(classifier.network):
            self._rollout = Rollout(classifier.network)
            self.method = Rollout.name
            return
        layer = feature_layer(classifier.network, description.input_px)
        if layer is None:
            raise PackageError(
                description.name,
                f"its network {description.architecture.name} has neither convolutions nor "
                "attention of all places to all others: it cannot be explained; leave out "
                "--explain",
            )
        classifier.requires_grad_(requires_grad=False)
        self._gradcam = GradCam(self._scores, layer)
        self.method = GradCam.name

    def __call__(
        self, squares: NDArray[np.uint8], classes: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """Maps over the network's input, ``(n, rows, columns)``, at least 0.

        Args:
            squares: ``(n, patch, patch, 3)`` RGB.
            classes: Index of the class to be explained, of each, ``(n,)``.
        """
        pixels = torch.from_numpy(self._prepare(squares)).permute(0, 3, 1, 2).float()
        pixels = pixels.contiguous().to(self._device)
        if self._rollout is not None:
            with torch.inference_mode():
                return self._rollout(self._classifier.normalise(pixels))
        assert self._gradcam is not None  # one of both is there
        try:
            return self._gradcam(pixels, classes)
        except RuntimeError as error:
            if "grad" not in str(error):
                raise
            raise PackageError(
                type(self._classifier.network).__name__,
                "its answer has no slope by the image, so Grad-CAM cannot explain it; leave out "
                "--explain",
            ) from error

    def _scores(self, pixels: Tensor) -> Tensor:
        """One score for each class before softmax or sigmoid, ``(n, classes)``."""
        logits = self._classifier.logits(pixels)
        if not self._single:
            return logits
        one = logits.flatten()
        both = [one, -one] if self._positive_first else [-one, one]
        return torch.stack(both, dim=1)


def load_explainer(package: ModelPackage, device: str = "cpu") -> Explainer:
    """The explainer of a package.

    Args:
        package: The model.
        device: ``cpu`` or ``cuda:N``.

    Raises:
        PackageError: its network cannot be looked into.
    """
    check_layers(package, "an explanation")
    return Explainer(load_classifier(package).to(device), package.description)
