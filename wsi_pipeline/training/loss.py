"""What gradient descent makes small: cross-entropy, of one logit or of one for each class."""

from torch import Tensor
from torch.nn import functional


def mean_loss(logits: Tensor, labels: Tensor, weights: Tensor, smoothing: float) -> Tensor:
    """The mean over a batch.

    Args:
        logits: ``(n,)``, or ``(n, classes)``.
        labels: Numbers of the classes, int64 ``(n,)``.
        weights: Of each patch, ``(n,)``.
        smoothing: Share of the certainty that is divided among all classes (Szegedy et al. 2016).
    """
    if logits.ndim == 1:
        target = labels.to(weights.dtype)
        if smoothing:
            target = target * (1 - smoothing) + smoothing / 2
        return functional.binary_cross_entropy_with_logits(logits, target, weights)
    losses = functional.cross_entropy(logits, labels, reduction="none", label_smoothing=smoothing)
    return (losses * weights).mean()
