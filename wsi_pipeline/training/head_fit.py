"""A head fitted to the features of a frozen trunk, for single images of any number of classes."""

from dataclasses import asdict, replace
from typing import Any

import numpy as np
import sklearn
import torch
from numpy.typing import NDArray
from torch import nn

from wsi_pipeline.model.head_shape import HeadShape
from wsi_pipeline.model.heads import in_parts
from wsi_pipeline.model.linear_probe import fit_head as fit_linear
from wsi_pipeline.model.linear_probe import one_hot, set_head
from wsi_pipeline.model.network import Classifier
from wsi_pipeline.training.checkpoint import State
from wsi_pipeline.training.features import Features, FrozenTrunk
from wsi_pipeline.training.head_fitting import fit_head
from wsi_pipeline.training.run import Run, Trained
from wsi_pipeline.training.sampling import Epoch, class_weights, draw_validation, plain
from wsi_pipeline.training.selection import figures_of, rank


class HeadFit:
    """One fit.

    Args:
        run: What it works with, which names its classes. Features in its folder are not computed
            again.

    Raises:
        UsageError: several processes, or the folder holds another training.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._trunk = FrozenTrunk(run)

    def train(self) -> Trained:
        """Compute features of all images, and fit the head to those of the training images.

        Raises:
            ImageError: an image cannot be read any more; the features so far are kept.
            TrainingError: they cannot be written.
        """
        run = self._run
        shown = _in_views(len(run.train.label), run.recipe.head.views)
        validation = draw_validation(run.validation, run.recipe, seed=run.seed)
        labels = run.validation.label[validation.items]
        if run.recipe.init == "random":
            self._trunk.fit_statistics(shown)
        seen = self._trunk.features("validation", run.validation, validation)
        features = self._trunk.features("train", run.train, shown)
        truth = run.train.label[shown.items]
        run.observer.stage("fitting the head")
        if run.recipe.head.kind == "linear":
            classifier, details = self._linear(features, truth, seen, labels)
            shape = None
        else:
            classifier, shape = self._fitted(features, truth)
            details = {"fitted_with": f"scikit-learn {sklearn.__version__}"}
        logits = _logits(classifier.last, seen)
        figures = figures_of(labels, logits)
        run.observer.says(f"head {run.recipe.head.kind}: {figures}")
        state = State(run.fingerprint, finished=True, best=asdict(figures), best_epoch=0)
        state.history.append({"epoch": 1, **details, "validation": figures.to_json()})
        return Trained(
            classifier=classifier.eval(),
            state=state,
            figures=figures,
            validation=validation,
            labels=labels,
            logits=logits,
            details=details,
            head=shape,
        )

    def _linear(
        self,
        features: Features,
        truth: NDArray[np.int64],
        seen: Features,
        labels: NDArray[np.int64],
    ) -> tuple[Classifier, dict[str, Any]]:
        """The best linear head over all penalties; of equals the first."""
        run, classes = self._run, len(self._run.classes)
        weights = np.ones(len(truth))
        if run.recipe.sampling.mode != "plain":
            weights = class_weights(truth, classes)[truth].astype(np.float64)
        found = []
        for penalty in run.recipe.probe.penalties:
            head = fit_linear(features, one_hot(truth, classes), penalty, weights)
            logits = seen @ head[0] + head[1]
            found.append((rank(figures_of(labels, logits), run.recipe.selection), penalty, head))
        _, penalty, head = max(found, key=lambda one: one[0])
        classifier = self._copy(None)
        set_head(classifier, *head)
        return classifier, {"penalty": penalty}

    def _fitted(self, features: Features, truth: NDArray[np.int64]) -> tuple[Classifier, HeadShape]:
        run = self._run
        fitted = fit_head(
            run.recipe.head,
            features,
            truth,
            len(run.classes),
            balanced=run.recipe.sampling.mode != "plain",
            seed=run.seed,
        )
        classifier = self._copy(fitted.shape)
        classifier.last.load_state_dict(fitted.module.state_dict())
        return classifier, fitted.shape

    def _copy(self, head: HeadShape | None) -> Classifier:
        """A classifier on the CPU with the trunk's weights, and a head still to be filled."""
        classifier = self._run.new_classifier(head)
        last = {id(module) for module in classifier.last.modules()}
        heads = {name for name, module in classifier.network.named_modules() if id(module) in last}
        own = {
            name: value
            for name, value in self._trunk.classifier.network.state_dict().items()
            if name.rpartition(".")[0] not in heads
        }
        classifier.network.load_state_dict(own, strict=False)
        return classifier


def _in_views(count: int, views: int) -> Epoch:
    """Every image in some of its orientations, else as it is."""
    epoch = plain(np.tile(np.arange(count), views))
    return replace(epoch, orientations=np.repeat(np.arange(views), count))


def _logits(head: nn.Module, features: Features) -> NDArray[np.float64]:
    logits = in_parts(head, torch.from_numpy(features).float())
    values: NDArray[np.float64] = logits.double().numpy()
    return values
