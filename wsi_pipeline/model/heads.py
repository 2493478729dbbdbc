"""Heads other than a linear layer, as torch modules: every runtime computes them like the trunk.

All are given pooled features, ``(n, features)``, and answer with one logit for each class, so that
``softmax(logits / temperature)`` are the probabilities. Those that scikit-learn fits are first
standardised and reduced. What an image is answered depends on nothing but the image.
"""

import math

import torch
from torch import Tensor, nn

from wsi_pipeline.model.head_shape import HeadShape

#: Numbers that UMAP is given of an image, after principal components.
UMAP_INPUT = 50
#: Least share of trees or neighbours, of which a logarithm is taken.
_LEAST = 1e-3
#: Halvings of the interval in which UMAP's width of the neighbourhood lies.
_HALVINGS = 28
#: Up to so many numbers distances are sums of squared differences. Beyond, products of matrices
#: are faster, and the digits they lose no longer matter.
_FEW = 64
#: Images whose distances are computed at once.
_AT_ONCE = 64


class TwoStage(nn.Module):
    """Coarse classes, then the sub-types of each: one linear layer, logarithms of probabilities.

    ``log p(class) = log p(coarse class) + log p(class | coarse class)``.

    Args:
        features: How many there are.
        units: Classes.
        stages: Numbers of the classes of each coarse class that has sub-types; every other class
            is a coarse class itself.
    """

    def __init__(self, features: int, units: int, stages: tuple[tuple[int, ...], ...]) -> None:
        super().__init__()
        among = {number for stage in stages for number in stage}
        self._groups = [*stages, *((number,) for number in range(units) if number not in among)]
        self._coarse = len(self._groups)
        finer = sum(len(group) for group in self._groups if len(group) > 1)
        self.linear = nn.Linear(features, self._coarse + finer)

    def forward(self, features: Tensor) -> Tensor:
        """Logarithms of the probabilities of the classes, ``(n, units)``."""
        numbers = self.linear(features)
        coarse = torch.log_softmax(numbers[:, : self._coarse], dim=1)
        columns: dict[int, Tensor] = {}
        start = self._coarse
        for place, group in enumerate(self._groups):
            whole = coarse[:, place : place + 1]
            if len(group) > 1:
                finer = torch.log_softmax(numbers[:, start : start + len(group)], dim=1)
                whole = whole + finer
                start += len(group)
            for index, number in enumerate(group):
                columns[number] = whole[:, index : index + 1]
        return torch.cat([columns[number] for number in sorted(columns)], dim=1)


class Reduction(nn.Module):
    """Features standardised, then as they are, on principal components, or placed by UMAP.

    UMAP's own ``transform`` moves images of a batch together, so that an image's place would depend
    on its neighbours in the batch. Here an image is where UMAP's ``transform`` begins: at the mean
    of the places of its nearest training images, weighted by likeness (McInnes et al. 2018).

    Args:
        features: How many there are.
        shape: Of the head.
    """

    mean: Tensor
    scale: Tensor
    axes: Tensor
    points: Tensor
    places: Tensor

    def __init__(self, features: int, shape: HeadShape) -> None:
        super().__init__()
        self._kind, self._nearest = shape.reduce, shape.nearest
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("scale", torch.ones(features))
        self.size = features
        if shape.reduce != "none":
            self.size = shape.components
            kept = shape.components if shape.reduce == "pca" else min(UMAP_INPUT, features)
            kept = kept if shape.reduce == "pca" else min(kept, shape.points)
            self.register_buffer("axes", torch.zeros(features, kept))
        if shape.reduce == "umap":
            self.register_buffer("points", torch.zeros(shape.points, kept))
            self.register_buffer("places", torch.zeros(shape.points, shape.components))

    def forward(self, features: Tensor) -> Tensor:
        """``(n, size)``."""
        values = (features - self.mean) * self.scale
        if self._kind == "none":
            return values
        values = values @ self.axes
        return values if self._kind == "pca" else self._placed(values)

    def _placed(self, values: Tensor) -> Tensor:
        distance, index = nearest(values, self.points, self._nearest)
        width = neighbourhood(distance)
        weight = torch.exp(-distance / width)
        weight = weight / weight.sum(dim=1, keepdim=True)
        return (self.places[index] * weight[:, :, None]).sum(dim=1)


class Logistic(nn.Module):
    """One linear function of the reduced features for each class."""

    weight: Tensor
    bias: Tensor

    def __init__(self, features: int, units: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.zeros(units, features))
        self.register_buffer("bias", torch.zeros(units))

    def forward(self, values: Tensor) -> Tensor:
        """``(n, units)``."""
        return values @ self.weight.T + self.bias


class SupportVectors(nn.Module):
    """A support vector machine with radial basis functions for each class against the rest."""

    vectors: Tensor
    weight: Tensor
    bias: Tensor
    gamma: Tensor

    def __init__(self, features: int, units: int, examples: int) -> None:
        super().__init__()
        self.register_buffer("vectors", torch.zeros(examples, features))
        self.register_buffer("weight", torch.zeros(units, examples))
        self.register_buffer("bias", torch.zeros(units))
        self.register_buffer("gamma", torch.ones(1))

    def forward(self, values: Tensor) -> Tensor:
        """Decision values, ``(n, units)``."""
        kernel = torch.exp(-self.gamma * squared_distances(values, self.vectors))
        return kernel @ self.weight.T + self.bias


class Neighbours(nn.Module):
    """Logarithms of the shares of the classes among the nearest training images, by 1/distance."""

    points: Tensor
    classes: Tensor

    def __init__(self, features: int, units: int, examples: int, neighbours: int) -> None:
        super().__init__()
        self._neighbours = neighbours
        self.register_buffer("points", torch.zeros(examples, features))
        self.register_buffer("classes", torch.zeros(examples, units))

    def forward(self, values: Tensor) -> Tensor:
        """``(n, units)``."""
        distance, index = nearest(values, self.points, self._neighbours)
        weight = 1 / distance.clamp(min=1e-5)
        weight = weight / weight.sum(dim=1, keepdim=True)
        share = (self.classes[index] * weight[:, :, None]).sum(dim=1)
        return torch.log(share.clamp(min=_LEAST))


class Forest(nn.Module):
    """Logarithms of the mean of the classes' shares in the leaves of all trees.

    A leaf leads to itself on both sides, so that all trees take as many steps as the deepest.
    """

    feature: Tensor
    threshold: Tensor
    left: Tensor
    right: Tensor
    share: Tensor
    first: Tensor

    def __init__(self, units: int, trees: int, nodes: int, depth: int) -> None:
        super().__init__()
        self._depth = depth
        for name in ("feature", "left", "right"):
            self.register_buffer(name, torch.zeros(trees * nodes, dtype=torch.int64))
        self.register_buffer("threshold", torch.zeros(trees * nodes))
        self.register_buffer("share", torch.zeros(trees * nodes, units))
        self.register_buffer("first", torch.arange(trees) * nodes)

    def forward(self, values: Tensor) -> Tensor:
        """``(n, units)``."""
        node = self.first.expand(values.shape[0], -1)
        for _ in range(self._depth):
            goes_left = values.gather(1, self.feature[node]) <= self.threshold[node]
            node = torch.where(goes_left, self.left[node], self.right[node])
        return torch.log(self.share[node].mean(dim=1).clamp(min=_LEAST))


class FittedHead(nn.Module):
    """A reduction of the features, and what scikit-learn fitted to what is left.

    Args:
        features: How many there are.
        units: Classes.
        shape: Of the head.
    """

    def __init__(self, features: int, units: int, shape: HeadShape) -> None:
        super().__init__()
        self.reduction = Reduction(features, shape)
        self.decision = _decision(self.reduction.size, units, shape)

    def forward(self, features: Tensor) -> Tensor:
        """Logits, ``(n, units)``."""
        logits: Tensor = self.decision(self.reduction(features))
        return logits


def in_parts(module: nn.Module, values: Tensor) -> Tensor:
    """What a module answers for any number of images, some at a time.

    Memory: distances of 64 images to all training images, of up to 64 numbers each.
    """
    with torch.inference_mode():
        parts = [values[i : i + _AT_ONCE] for i in range(0, len(values), _AT_ONCE)]
        return torch.cat([module(some) for some in parts])


def build_head(features: int, units: int, shape: HeadShape) -> nn.Module:
    """A head of a shape, its numbers still to be loaded or trained."""
    if shape.kind == "two-stage":
        return TwoStage(features, units, shape.stages)
    return FittedHead(features, units, shape)


def squared_distances(values: Tensor, points: Tensor) -> Tensor:
    """Squared Euclidean distances, ``(n, points)``; never below 0."""
    if values.shape[1] <= _FEW:
        difference = values[:, None, :] - points[None, :, :]
        return (difference * difference).sum(dim=2)
    lengths = (values * values).sum(dim=1, keepdim=True) + (points * points).sum(dim=1)
    return (lengths - 2 * values @ points.T).clamp(min=0)


def nearest(values: Tensor, points: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Distances of the nearest points, ascending, and their numbers, ``(n, count)`` each."""
    squared, index = torch.topk(squared_distances(values, points), count, largest=False)
    return torch.sqrt(squared), index


def neighbourhood(distance: Tensor) -> Tensor:
    """UMAP's width of each image's neighbourhood, ``(n, 1)``.

    The width at which the similarities ``exp(-distance / width)`` of all but the nearest add up to
    ``log2(count)`` (McInnes et al. 2018, ``smooth_knn_dist`` without local connectivity), found by
    halving an interval of its logarithm.

    Args:
        distance: Of the nearest training images, ascending, ``(n, count)``.
    """
    target = math.log2(distance.shape[1])
    mean = distance.mean(dim=1, keepdim=True).clamp(min=1e-12)
    low, high = torch.full_like(mean, math.log(1e-3)), torch.full_like(mean, math.log(1e3))
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        total = torch.exp(-distance[:, 1:] / (mean * middle.exp())).sum(dim=1, keepdim=True)
        too_wide = total > target
        low, high = torch.where(too_wide, low, middle), torch.where(too_wide, middle, high)
    return mean * ((low + high) / 2).exp()


def _decision(features: int, units: int, shape: HeadShape) -> nn.Module:
    if shape.kind == "svm":
        return SupportVectors(features, units, shape.examples)
    if shape.kind == "neighbours":
        return Neighbours(features, units, shape.examples, shape.neighbours)
    if shape.kind == "forest":
        return Forest(units, shape.trees, shape.nodes, shape.depth)
    return Logistic(features, units)
