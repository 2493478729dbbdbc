"""The linear probe: features of a frozen trunk, computed once, and a penalised head on them."""

from dataclasses import asdict

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from wsi_pipeline.model.linear_probe import fit_head, set_head
from wsi_pipeline.model.network import linear_layer
from wsi_pipeline.training.checkpoint import State
from wsi_pipeline.training.features import Features, FrozenTrunk
from wsi_pipeline.training.logs import Logs
from wsi_pipeline.training.run import Run, Trained
from wsi_pipeline.training.sampling import (
    class_weights,
    draw_candidates,
    draw_epoch,
    draw_validation,
)
from wsi_pipeline.training.selection import AnyFigures, figures_from, figures_of, rank

Head = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Weights ``(features,)`` and bias ``()`` of the logit."""


class LinearProbeFit:
    """One linear probe.

    Args:
        run: What it works with. Features in its folder are not computed again.

    Raises:
        UsageError: several processes, or the folder holds another training.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._trunk = FrozenTrunk(run)
        self._classifier = self._trunk.classifier

    def train(self) -> Trained:
        """Compute features, fit the head, choose its penalty on the validation patches.

        Raises:
            SlideError: a patch cannot be read; the features so far are kept.
            TrainingError: they cannot be written.
        """
        run, recipe = self._run, self._run.recipe
        state = State(run.fingerprint)
        epoch = draw_epoch(run.train, recipe, seed=run.seed, epoch=0)
        validation = draw_validation(run.validation, recipe, seed=run.seed)
        labels = run.validation.label[validation.items]
        if recipe.init == "random":
            self._trunk.fit_statistics(epoch)
        seen = self._trunk.features("validation", run.validation, validation)
        features = self._trunk.features("train", run.train, epoch)
        truth = run.train.label[epoch.items].astype(np.float64)
        weights = epoch.weights.astype(np.float64)
        with Logs(run.folder / "logs", 0) as logs:
            for round_ in range(recipe.mining.rounds + 1):
                if round_:
                    features, truth, weights = self._harder(round_, features, truth, state)
                figures, head, penalty = self._fit(features, truth, weights, seen, labels)
                self._put(state, round_, figures, penalty, head, len(truth))
                logs.write(round_, {f"validation/{k}": v for k, v in figures.to_json().items()})
        logits = self._logits(seen)
        state.finished = True
        network = self._classifier.network
        plain_classifier = run.new_classifier()
        plain_classifier.network.load_state_dict(network.state_dict())
        return Trained(
            classifier=plain_classifier.eval(),
            state=state,
            figures=figures_of(labels, logits),
            validation=validation,
            labels=labels,
            logits=logits,
            details={
                "penalty": state.history[state.best_epoch]["penalty"],
                "hard_negatives": len(state.hard),
            },
        )

    def _logits(self, features: Features) -> NDArray[np.float64]:
        """What the head in place makes of features: the network's logits, but for rounding."""
        head = linear_layer(self._classifier.network)
        weight = head.weight.detach().cpu().double().numpy()[0]
        logits: NDArray[np.float64] = features @ weight + float(head.bias.detach().cpu())
        return logits

    def _fit(
        self,
        features: Features,
        truth: NDArray[np.float64],
        weights: NDArray[np.float64],
        seen: Features,
        labels: NDArray[np.int64],
    ) -> tuple[AnyFigures, Head, float]:
        """The best head over all penalties by the recipe's selection; the first of equals."""
        run = self._run
        run.observer.stage("fitting the head", len(run.recipe.probe.penalties))
        found = []
        for penalty in run.recipe.probe.penalties:
            weight, bias = fit_head(features, truth, penalty, weights)
            found.append((figures_of(labels, seen @ weight + bias), (weight, bias), penalty))
            run.observer.advanced(1)
        return max(found, key=lambda one: rank(one[0], run.recipe.selection))

    def _harder(
        self,
        round_: int,
        features: Features,
        truth: NDArray[np.float64],
        state: State,
    ) -> tuple[Features, NDArray[np.float64], NDArray[np.float64]]:
        """Training patches with hard negatives added; classes keep equal weight."""
        run, mining = self._run, self._run.recipe.mining
        candidates = draw_candidates(run.train, mining.candidates, seed=run.seed, round_=round_)
        extra = self._trunk.features(f"candidates-{round_}", run.train, candidates)
        scores = self._logits(extra)
        keep = max(1, round(mining.keep * len(candidates)))
        hardest = np.sort(np.argsort(-scores, kind="stable")[:keep])
        state.hard = sorted({*state.hard, *candidates.items[hardest].tolist()})
        run.observer.says(
            f"round {round_ + 1}: {keep:,} hard negatives of {len(candidates):,} looked at, "
            f"probability {expit(scores[hardest]).min():.3f} and more"
        )
        truth = np.concatenate([truth, np.zeros(keep)])
        number = truth.astype(np.int64)
        balance = class_weights(number, 2).astype(np.float64)
        return np.concatenate([features, extra[hardest]]), truth, balance[number]

    def _put(
        self,
        state: State,
        round_: int,
        figures: AnyFigures,
        penalty: float,
        head: Head,
        count: int,
    ) -> None:
        """Keep a round's head if it is the best, and write down how it did."""
        before = None if state.best is None else figures_from(state.best)
        if before is None or rank(figures, self._run.recipe.selection) > rank(
            before, self._run.recipe.selection
        ):
            state.best, state.best_epoch = asdict(figures), round_
            set_head(self._classifier, *head)
        state.epoch = round_ + 1
        state.history.append(
            {
                "epoch": round_ + 1,
                "round": round_ + 1,
                "penalty": penalty,
                "patches": count,
                "validation": figures.to_json(),
            }
        )
        self._run.observer.says(f"penalty {penalty:g}: {figures}")
