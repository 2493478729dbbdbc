"""What training makes small: of classes, of instance clusters, of survival."""

import torch
from torch import Tensor
from torch.nn import functional

from wsi_pipeline.slide_level.attention.networks import Seen


def class_loss(logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """Cross-entropy of slides, classes weighted.

    Args:
        logits: ``(n, classes)``.
        labels: ``(n,)``.
        weights: Of each class, ``(classes,)``; their mean over the slides is about 1.
    """
    return (functional.cross_entropy(logits, labels, reduction="none") * weights[labels]).mean()


def cluster_loss(scores: Tensor, seen: Seen, label: int, tiles: int) -> Tensor:
    """Instance clustering of one slide (Lu et al. 2021, Methods, "instance-level clustering").

    The most attended tiles are taken for evidence of the slide's class, the least attended ones for
    none; where there are more than two classes, the most attended are no evidence of the others.

    Args:
        scores: Of every tile, whether it is evidence of each class, ``(n, classes, 2)``.
        seen: What the network says of the slide.
        label: The slide's class.
        tiles: How many tiles of either kind.
    """
    count = min(tiles, max(1, len(scores) // 2))
    order = torch.argsort(seen.attention.detach(), stable=True)
    least, most = order[:count], order[-count:]
    told = torch.cat([scores[most, label], scores[least, label]])
    truth = torch.arange(2 * count, device=told.device) < count
    losses = [smooth_svm(told, truth.long())]
    if scores.shape[1] > 2:
        others = [one for one in range(scores.shape[1]) if one != label]
        rest = scores[most][:, others].flatten(0, 1)
        losses.append(
            smooth_svm(rest, torch.zeros(len(rest), dtype=torch.long, device=rest.device))
        )
    return torch.stack(losses).mean()


def smooth_svm(scores: Tensor, truth: Tensor) -> Tensor:
    """The smooth top-1 SVM loss with margin and temperature 1 (Berrada et al., ICLR 2018).

    Args:
        scores: ``(n, classes)``.
        truth: ``(n,)``.
    """
    margins = 1 - functional.one_hot(truth, scores.shape[1]).to(scores.dtype)
    right = scores.gather(1, truth[:, None])[:, 0]
    return (torch.logsumexp(scores + margins, 1) - right).mean()


def cox_loss(risks: Tensor, times: Tensor, events: Tensor) -> Tensor:
    """Cox's negative partial log-likelihood over the events (Cox 1972), ties as Breslow's.

    Args:
        risks: Logarithm of the hazard, ``(n,)``.
        times: ``(n,)``.
        events: Whether the event was seen at that time, bool ``(n,)``; with none the loss is 0.
    """
    if not bool(events.any()):
        return risks.sum() * 0
    at_risk = times[None] >= times[:, None]  # of each slide, who was still observed at its time
    everyone = risks[None].expand(len(risks), -1).masked_fill(~at_risk, -torch.inf)
    return (torch.logsumexp(everyone, 1) - risks)[events].mean()
