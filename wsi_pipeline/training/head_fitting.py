"""Heads fitted with scikit-learn and UMAP, and written down as the numbers of a torch module."""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC
from torch import Tensor

from wsi_pipeline.model.head_shape import HeadShape
from wsi_pipeline.model.heads import UMAP_INPUT, FittedHead, Reduction, build_head, in_parts
from wsi_pipeline.training.forest_arrays import forest_arrays
from wsi_pipeline.training.head_recipe import HeadRecipe

Values = NDArray[np.float64]
#: One of scikit-learn's classifiers, which carry no types.
Estimator = Any
#: Training images whose places UMAP keeps near each other; its own usual number.
_UMAP_NEIGHBOURS = 15
#: Fewest images in a leaf of a tree.
_LEAF = 2
_STEPS = 5000


@dataclass(frozen=True)
class Fitted:
    """A fitted head.

    Attributes:
        shape: For the description.
        module: Computes it.
        estimator: What scikit-learn fitted to the reduced features; nothing but tests needs it.
    """

    shape: HeadShape
    module: FittedHead
    estimator: Estimator


def fit_head(
    recipe: HeadRecipe,
    features: Values,
    labels: NDArray[np.int64],
    classes: int,
    *,
    balanced: bool,
    seed: int,
) -> Fitted:
    """Standardise and reduce features, and fit what the recipe says to them.

    Args:
        recipe: Of the head.
        features: ``(n, features)``.
        labels: Numbers of classes, all of them, ``(n,)``.
        classes: How many there are.
        balanced: Whether images of rare classes count more.
        seed: Of what is random.
    """
    sizes, numbers = _reduction(recipe, features, seed)
    plain = HeadShape(kind="logistic")
    reduction = Reduction(features.shape[1], plain.model_copy(update=sizes))
    reduction.load_state_dict(numbers)
    # What the head will be given: the torch module's own answer for the training images.
    values = in_parts(reduction, torch.from_numpy(features).float()).double().numpy()
    estimator = _estimator(recipe, values, balanced=balanced, seed=seed)
    estimator.fit(values, labels)
    shape, decision = _written(recipe, estimator, values, labels, classes)
    shape = shape.model_copy(update=sizes)
    module = build_head(features.shape[1], classes, shape)
    assert isinstance(module, FittedHead)  # two stages are trained, not fitted
    named = {f"reduction.{name}": value for name, value in numbers.items()}
    named |= {f"decision.{name}": value for name, value in decision.items()}
    module.load_state_dict(named, strict=False)
    return Fitted(shape, module, estimator)


def _reduction(
    recipe: HeadRecipe, features: Values, seed: int
) -> tuple[dict[str, str | int], dict[str, Tensor]]:
    """Sizes for the shape, and numbers by the names of :class:`Reduction`."""
    mean, deviation = features.mean(axis=0), features.std(axis=0)
    # A feature that never changes says nothing, and must not be blown up where it does change.
    scale = np.where(deviation > 1e-6, 1 / np.maximum(deviation, 1e-6), 0.0)
    numbers = {"mean": _float(mean), "scale": _float(scale)}
    if recipe.reduce == "none":
        return {"reduce": "none"}, numbers
    scaled = (features - mean) * scale
    most = min(scaled.shape)
    kept = min(recipe.components if recipe.reduce == "pca" else UMAP_INPUT, most)
    pca = PCA(kept, random_state=seed).fit(scaled)
    numbers["axes"] = _float(pca.components_.T)
    if recipe.reduce == "pca":
        return {"reduce": "pca", "components": kept}, numbers
    points = scaled @ pca.components_.T
    nearest = min(_UMAP_NEIGHBOURS, len(points) - 1)
    components = min(recipe.components, len(points) - 2)
    numbers |= {
        "points": _float(points),
        "places": _float(_umap(points, nearest, components, seed)),
    }
    sizes: dict[str, str | int] = {
        "reduce": "umap",
        "components": components,
        "points": len(points),
        "nearest": nearest,
    }
    return sizes, numbers


def _umap(points: Values, nearest: int, components: int, seed: int) -> Values:
    with warnings.catch_warnings():
        # That a seed takes its threads away, and what numba says of its own types.
        warnings.simplefilter("ignore")
        import umap  # noqa: PLC0415 - its import compiles, which takes seconds

        made = umap.UMAP(n_components=components, n_neighbors=nearest, random_state=seed, n_jobs=1)
        return np.asarray(made.fit_transform(points.astype(np.float32)), np.float64)


def _estimator(recipe: HeadRecipe, values: Values, *, balanced: bool, seed: int) -> Estimator:
    weight = "balanced" if balanced else None
    if recipe.kind == "svm":
        gamma = recipe.gamma / (values.shape[1] * max(float(values.var()), 1e-12))
        return OneVsRestClassifier(SVC(C=recipe.cost, gamma=gamma, class_weight=weight))
    if recipe.kind == "neighbours":
        count = min(recipe.neighbours, len(values))
        return KNeighborsClassifier(count, weights="distance")
    if recipe.kind == "forest":
        return RandomForestClassifier(
            recipe.trees,
            max_depth=recipe.depth,
            min_samples_leaf=_LEAF,
            class_weight=weight,
            random_state=seed,
        )
    return LogisticRegression(C=recipe.cost, class_weight=weight, max_iter=_STEPS)


def _written(
    recipe: HeadRecipe,
    estimator: Estimator,
    values: Values,
    labels: NDArray[np.int64],
    classes: int,
) -> tuple[HeadShape, dict[str, Tensor]]:
    """The shape of a decision, and its numbers by the names of its module."""
    if isinstance(estimator, OneVsRestClassifier):
        machines = [one for one in estimator.estimators_ if isinstance(one, SVC)]
        used = np.unique(np.concatenate([machine.support_ for machine in machines]))
        weight = np.zeros((len(machines), len(used)))
        for row, machine in zip(weight, machines, strict=True):
            row[np.searchsorted(used, machine.support_)] = machine.dual_coef_[0]
        bias = np.array([float(machine.intercept_[0]) for machine in machines])
        numbers = {
            "vectors": _float(values[used]),
            "weight": _float(_for_each(weight)),
            "bias": _float(_for_each(bias)),
            "gamma": _float(np.array([machines[0].gamma])),
        }
        return HeadShape(kind="svm", examples=len(used)), numbers
    if isinstance(estimator, KNeighborsClassifier):
        numbers = {"points": _float(values), "classes": _float(np.eye(classes)[labels])}
        count = int(estimator.n_neighbors)
        return HeadShape(kind="neighbours", examples=len(values), neighbours=count), numbers
    if isinstance(estimator, RandomForestClassifier):
        return _forest(estimator, classes)
    assert recipe.kind == "logistic"
    numbers = {
        "weight": _float(_for_each(estimator.coef_)),
        "bias": _float(_for_each(estimator.intercept_)),
    }
    return HeadShape(kind="logistic"), numbers


def _for_each(values: Values) -> Values:
    """Of two classes scikit-learn has one row; the other class has its negative."""
    return np.concatenate([-values, values]) / 2 if len(values) == 1 else values


def _forest(estimator: RandomForestClassifier, classes: int) -> tuple[HeadShape, dict[str, Tensor]]:
    forest = forest_arrays([one.tree_ for one in estimator.estimators_], classes)
    numbers = {
        "feature": torch.from_numpy(forest.feature),
        "threshold": _float(forest.threshold),
        "left": torch.from_numpy(forest.left),
        "right": torch.from_numpy(forest.right),
        "share": _float(forest.share),
    }
    shape = HeadShape(kind="forest", trees=forest.trees, nodes=forest.nodes, depth=forest.depth)
    return shape, numbers


def _float(values: Values) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values)).float()
