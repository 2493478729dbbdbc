"""The linear probe: features of a frozen trunk, computed once, and a penalised head on them.

Features are kept in the training's folder as they come, so that a killed training goes on where
it was. Nothing else takes long.
"""

import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import expit

from wsi_pipeline.errors import StoppedError, TrainingError, UsageError
from wsi_pipeline.model.linear_probe import fit_head, fit_statistics, pooled, set_head
from wsi_pipeline.training.checkpoint import CHECKPOINT, State, save, write_whole
from wsi_pipeline.training.initial_weights import first_weights, new_classifier
from wsi_pipeline.training.logs import Logs
from wsi_pipeline.training.patch_source import PatchSource
from wsi_pipeline.training.run import Run, Trained
from wsi_pipeline.training.sampling import (
    Epoch,
    class_weights,
    draw_candidates,
    draw_epoch,
    draw_validation,
)
from wsi_pipeline.training.selection import Figures, figures_of, rank

#: Batches whose features are kept in one file.
_CHUNK = 4
Features = NDArray[np.float64]
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
        if run.team.size > 1:
            raise UsageError("a linear probe is fitted by one process: start it without torchrun")
        self._run = run
        if run.saved() is None:
            save(run.folder, CHECKPOINT, {"state": State(run.fingerprint).to_json()})
        self._folder = run.folder / "features"
        self._folder.mkdir(exist_ok=True)
        self._classifier = new_classifier(run.recipe)
        first_weights(self._classifier, run.recipe, run.seed)
        self._classifier.to(run.device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's overloads know one argument at a time
        self._classifier.eval()

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
        labels = run.validation.tumour[validation.items]
        if recipe.init == "random":
            self._statistics(epoch)
        seen = self._features("validation", run.validation, validation)
        features = self._features("train", run.train, epoch)
        truth = run.train.tumour[epoch.items].astype(np.float64)
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
        plain_classifier = new_classifier(recipe)
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
        head = self._classifier.head
        weight = head.weight.detach().cpu().double().numpy()[0]
        logits: NDArray[np.float64] = features @ weight + float(head.bias.detach().cpu())
        return logits

    def _statistics(self, epoch: Epoch) -> None:
        run = self._run
        places = np.arange(min(run.recipe.probe.statistics_patches, len(epoch)))
        run.observer.stage("fitting batch statistics", len(places))
        (batch,) = run.loader.batches(run.train, epoch, [places])
        pixels = run.pixels(batch, epoch).clamp(0, 255).round().byte()
        patches = pixels.permute(0, 2, 3, 1).contiguous().cpu().numpy()
        fit_statistics(self._classifier, patches, batch=2 * run.recipe.batch)
        run.observer.advanced(len(places))

    def _features(self, name: str, source: PatchSource, epoch: Epoch) -> Features:
        """Pooled features of an epoch's patches, ``(n, features)``, kept chunk by chunk."""
        run, batch = self._run, self._run.recipe.batch
        places = np.arange(len(epoch))
        groups = [places[i : i + batch] for i in range(0, len(places), batch)]
        chunks = [groups[i : i + _CHUNK] for i in range(0, len(groups), _CHUNK)]
        files = [self._folder / f"{name}-{index:05d}.npy" for index in range(len(chunks))]
        missing = [index for index, file in enumerate(files) if not file.exists()]
        done = len(places) - sum(len(g) for index in missing for g in chunks[index])
        run.observer.stage(f"features ({name})", len(places), done=done)
        computed = self._computed(source, epoch, [g for i in missing for g in chunks[i]])
        for index in missing:
            values = np.concatenate([next(computed) for _ in chunks[index]])
            write_whole(files[index], _npy(values))
        try:
            return np.concatenate([np.load(file, allow_pickle=False) for file in files]).astype(
                np.float64
            )
        except (OSError, ValueError) as error:
            raise TrainingError(self._folder, f"{error}; start again with --restart") from error

    def _computed(
        self, source: PatchSource, epoch: Epoch, groups: list[NDArray[np.int64]]
    ) -> Iterator[NDArray[np.float32]]:
        run = self._run
        for part in run.loader.batches(source, epoch, groups):
            if run.stopped():
                raise StoppedError("stopped; the features so far are kept")
            values = pooled(self._classifier, run.pixels(part, epoch))
            run.observer.advanced(len(part.places))
            yield values.float().cpu().numpy()

    def _fit(
        self,
        features: Features,
        truth: NDArray[np.float64],
        weights: NDArray[np.float64],
        seen: Features,
        labels: NDArray[np.bool_],
    ) -> tuple[Figures, Head, float]:
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
        extra = self._features(f"candidates-{round_}", run.train, candidates)
        scores = self._logits(extra)
        keep = max(1, round(mining.keep * len(candidates)))
        hardest = np.sort(np.argsort(-scores, kind="stable")[:keep])
        state.hard = sorted({*state.hard, *candidates.items[hardest].tolist()})
        run.observer.says(
            f"round {round_ + 1}: {keep:,} hard negatives of {len(candidates):,} looked at, "
            f"probability {expit(scores[hardest]).min():.3f} and more"
        )
        truth = np.concatenate([truth, np.zeros(keep)])
        balance = class_weights(truth.astype(bool)).astype(np.float64)
        return np.concatenate([features, extra[hardest]]), truth, balance[truth.astype(np.int64)]

    def _put(
        self,
        state: State,
        round_: int,
        figures: Figures,
        penalty: float,
        head: Head,
        count: int,
    ) -> None:
        """Keep a round's head if it is the best, and write down how it did."""
        before = None if state.best is None else Figures.from_state(state.best)
        if before is None or rank(figures, self._run.recipe.selection) > rank(
            before, self._run.recipe.selection
        ):
            state.best, state.best_epoch = _facts(figures), round_
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
        self._run.observer.says(
            f"penalty {penalty:g}: validation AUC {figures.auc:.4f}, recall {figures.recall:.3f}, "
            f"specificity {figures.specificity:.3f}"
        )


def _facts(figures: Figures) -> dict[str, Any]:
    return {name: getattr(figures, name) for name in figures.__slots__}


def _npy(values: NDArray[np.float32]) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, values, allow_pickle=False)
    return buffer.getvalue()
