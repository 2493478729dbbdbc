"""What a runtime is asked to compute of a classifier, as one torch module."""

import torch
from torch import Tensor, nn

from wsi_pipeline.model.class_token import shorten
from wsi_pipeline.model.network import Classifier
from wsi_pipeline.model.predictor import Head


class Answering(nn.Module):
    """A classifier that answers with its classes, with its pooled features, or with both.

    Args:
        classifier: In evaluation mode; of a transformer its last block is changed.
        head: What it answers with.
    """

    def __init__(self, classifier: Classifier, head: Head) -> None:
        super().__init__()
        shorten(classifier.network)
        self.classifier = classifier
        self.head = head

    def forward(self, patches: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """What is asked of float NCHW, RGB 0-255; of both: probabilities, then features."""
        return self.from_normalised(self.classifier.normalise(patches))

    def from_normalised(self, patches: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """The same of patches that were normalised, in any precision."""
        if self.head == "classes":
            return self.classifier.from_normalised(patches)
        both = self.classifier.with_features(patches)
        return both[1] if self.head == "features" else both


def as_rows(answer: Tensor | tuple[Tensor, Tensor]) -> Tensor:
    """An answer as :meth:`~wsi_pipeline.model.predictor.Predictor.submit` gives it."""
    if isinstance(answer, Tensor):
        return answer
    classes, features = answer
    return torch.cat([classes.reshape(len(features), -1), features], dim=1)
