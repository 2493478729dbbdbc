"""Gradient descent: epochs, validation, checkpoints, rounds with hard negatives.

Everything random is a function of the seed and of where the training is, never of what happened
in between: a training that was killed and resumed ends with the same bits.
"""

import math
import time
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from wsi_pipeline.errors import StoppedError, TrainingError, UsageError
from wsi_pipeline.model.network import Classifier
from wsi_pipeline.training.checkpoint import BEST, CHECKPOINT, State, load, save
from wsi_pipeline.training.device import on_device
from wsi_pipeline.training.freezing import freeze
from wsi_pipeline.training.initial_weights import (
    first_weights,
    use_repeatable_pooling,
)
from wsi_pipeline.training.logs import Logs
from wsi_pipeline.training.loss import mean_loss
from wsi_pipeline.training.run import Run, Trained, score
from wsi_pipeline.training.sampling import Epoch, draw_candidates, draw_epoch, draw_validation
from wsi_pipeline.training.schedule import Rates, make_optimiser
from wsi_pipeline.training.selection import AnyFigures, figures_from, figures_of, rank

#: Steps between looks at the loss; on a GPU each look waits for it.
_LOOK = 10


class _Logits(nn.Module):
    """A classifier whose forward gives logits, as processes that share gradients need it."""

    def __init__(self, classifier: Classifier) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(self, pixels: Tensor) -> Tensor:
        return self.classifier.logits(pixels)


class Training:
    """One training by gradient descent.

    Args:
        run: What it works with. A checkpoint in its folder is gone on from.

    Raises:
        UsageError: the batch cannot be shared, or the folder holds another training.
    """

    def __init__(self, run: Run) -> None:
        if run.recipe.batch % run.team.size:
            raise UsageError(
                f"a batch of {run.recipe.batch} cannot be shared by {run.team.size} processes; "
                "choose a multiple with --set batch=N"
            )
        self._run = run
        self._classifier = run.new_classifier()
        saved = run.saved()
        if saved is None:
            first_weights(self._classifier, run.recipe, run.seed)
            self._state = State(run.fingerprint)
        else:
            self._classifier.network.load_state_dict(saved["network"])
            self._state = State(**saved["state"])
        use_repeatable_pooling(self._classifier, run.device)
        self._classifier.to(run.device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's overloads know one argument at a time
        # Before processes share gradients: they would wait for those of frozen weights.
        self._frozen = freeze(self._classifier, run.recipe.freeze)
        self._model: nn.Module = _Logits(self._classifier)
        if run.team.size > 1:
            self._model = DistributedDataParallel(self._model)
        self._new_optimiser()
        if saved is not None:
            self._optimiser.load_state_dict(saved["optimiser"])
            self._rates.resume(saved["rates"])
        self._validation = draw_validation(run.validation, run.recipe, seed=run.seed)
        self._labels = run.validation.label[self._validation.items]

    def _new_optimiser(self) -> None:
        trained = [one for one in self._classifier.parameters() if one.requires_grad]
        self._optimiser = make_optimiser(trained, self._run.recipe.optimiser)
        self._rates = Rates(self._optimiser, self._run.recipe)

    def train(self) -> Trained:
        """Train to the end.

        Raises:
            TrainingError: it cannot go on; the last checkpoint is kept.
            SlideError: a patch cannot be read; the last checkpoint is kept.
        """
        run, state = self._run, self._state
        if state.steps:
            run.observer.says(f"continues after {state.steps:,} steps (epoch {state.epoch + 1})")
        with Logs(run.folder / "logs", state.steps, active=run.team.leads) as logs:
            while not state.finished:
                if self._round_ends():
                    self._next_round()
                else:
                    self._epoch(logs)
        run.team.wait()
        best = load(run.folder, BEST)
        if best is None:
            raise TrainingError(run.folder, f"has lost {BEST}; start again with --restart")
        self._classifier.network.load_state_dict(best["network"])
        run.observer.stage("validating the best weights", len(self._validation))
        logits = score(run, self._classifier, run.validation, self._validation)
        plain = run.new_classifier()
        plain.network.load_state_dict(best["network"])
        return Trained(
            classifier=plain.eval(),
            state=state,
            figures=figures_of(self._labels, logits),
            validation=self._validation,
            labels=self._labels,
            logits=logits,
            details={"best_epoch": state.best_epoch + 1, "hard_negatives": len(state.hard)},
            head=run.two_stage,
        )

    def _round_ends(self) -> bool:
        state, recipe = self._state, self._run.recipe
        epochs = recipe.epochs if state.round == 0 else recipe.mining.epochs
        patience = recipe.selection.patience
        tired = patience is not None and state.waited >= patience
        if tired and state.round_epochs < epochs:
            self._run.observer.says(
                f"no improvement for {state.waited} epochs: the round ends early"
            )
        return state.round_epochs >= epochs or tired

    def _next_round(self) -> None:
        """Look for hard negatives with the best weights and go on from those, or end."""
        run, state = self._run, self._state
        if state.round == run.recipe.mining.rounds:
            state.finished = True
            self._save()
            return
        run.team.wait()
        best = load(run.folder, BEST)
        assert best is not None  # a round has at least one epoch, and an epoch leaves it
        self._classifier.network.load_state_dict(best["network"])
        state.round += 1
        state.round_epochs = state.waited = 0
        candidates = draw_candidates(
            run.train, run.recipe.mining.candidates, seed=run.seed, round_=state.round
        )
        run.observer.stage("searching for hard negatives", len(candidates))
        logits = score(run, self._classifier, run.train, candidates)
        keep = max(1, round(run.recipe.mining.keep * len(candidates)))
        hardest = np.argsort(-logits, kind="stable")[:keep]
        state.hard = np.sort(candidates.items[hardest]).tolist()
        self._new_optimiser()
        run.observer.says(
            f"round {state.round + 1}: {keep:,} hard negatives of {len(candidates):,} looked at"
        )
        self._save()

    def _epoch(self, logs: Logs) -> None:
        run, state, recipe = self._run, self._state, self._run.recipe
        hard = np.array(state.hard, np.int64)
        epoch = draw_epoch(
            run.train, recipe, seed=run.seed, epoch=state.epoch, hard=hard if len(hard) else None
        )
        steps = len(epoch) // recipe.batch
        self._rates.begin(state.epoch)
        run.observer.stage(f"epoch {state.epoch + 1}", len(epoch), done=state.step * recipe.batch)
        self._steps(epoch, steps, logs)
        if run.team.size > 1:
            # Statistics of batches are the leading process's.
            for buffer in self._classifier.buffers():
                dist.broadcast(buffer, 0)
        run.observer.stage("validating", len(self._validation))
        logits = score(run, self._classifier, run.validation, self._validation)
        figures = figures_of(self._labels, logits)
        loss, state.loss = state.loss / steps, 0.0
        state.step = 0
        state.history.append(
            {
                "epoch": state.epoch + 1,
                "round": state.round + 1,
                "learning_rate": self._optimiser.param_groups[0]["lr"],
                "patches": len(epoch),
                "loss": round(loss, 6),
                "validation": figures.to_json(),
            }
        )
        logs.write(state.steps, {"loss/epoch": loss, **_named("validation", asdict(figures))})
        self._rates.end(rank(figures, recipe.selection)[-2])
        self._select(figures)
        run.observer.says(
            f"epoch {state.epoch + 1}: loss {loss:.4f}; {figures}"
            + (", the best so far" if state.best_epoch == state.epoch else "")
        )
        state.epoch += 1
        state.round_epochs += 1
        self._save()

    def _steps(self, epoch: Epoch, steps: int, logs: Logs) -> None:
        run, state, recipe = self._run, self._state, self._run.recipe
        labels = torch.from_numpy(run.train.label[epoch.items])
        weights = torch.from_numpy(epoch.weights)
        every = np.arange(len(epoch)).reshape(steps, recipe.batch)
        groups = list(every[state.step :, run.team.rank :: run.team.size])
        total = torch.tensor(state.loss, dtype=torch.float64, device=run.device)
        began = time.perf_counter()
        self._classifier.train()
        for module in self._frozen:
            module.eval()
        for batch in run.loader.batches(run.train, epoch, groups):
            torch.manual_seed(_step_seed(run.seed, state.steps, run.team.rank))
            pixels = run.pixels(batch, epoch)
            with torch.autocast(run.device.type, torch.bfloat16, run.precision == "bf16"):
                logits = self._model(pixels)
            loss = mean_loss(
                logits,
                on_device(labels[batch.places], run.device),
                on_device(weights[batch.places], run.device),
                recipe.label_smoothing,
            )
            self._optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]  # torch types it not
            self._optimiser.step()
            total += loss.detach()
            state.step += 1
            state.steps += 1
            looks = state.step % _LOOK == 0 or state.step == steps
            saves = state.step % recipe.checkpoint_steps == 0 and state.step < steps
            note = ""
            if looks or saves:
                state.loss = float(total)
                if not math.isfinite(state.loss):
                    raise TrainingError(
                        run.folder,
                        f"the loss is not a number at step {state.steps}; the last checkpoint is "
                        "kept, start anew with a smaller learning rate (--restart)",
                    )
                note = f"loss {state.loss / state.step:.4f}"
                logs.write(state.steps, {"loss/step": float(loss.detach())})
            if saves:
                now = time.perf_counter()
                state.seconds += now - began
                began = now
                self._save()
            run.observer.advanced(recipe.batch, note)
            if run.stopped():
                raise StoppedError("stopped; the last checkpoint is kept")
        state.loss = float(total)
        state.seconds += time.perf_counter() - began

    def _select(self, figures: AnyFigures) -> None:
        run, state = self._run, self._state
        rule = run.recipe.selection
        before = None if state.best is None else figures_from(state.best)
        if before is not None and rank(figures, rule) <= rank(before, rule):
            state.waited += 1
            return
        state.best, state.best_epoch, state.waited = asdict(figures), state.epoch, 0
        if run.team.leads:
            # Before the checkpoint that speaks of them: killed in between, they come out again.
            save(run.folder, BEST, {"network": self._classifier.network.state_dict()})

    def _save(self) -> None:
        if not self._run.team.leads:
            return
        content: dict[str, Any] = {
            "state": self._state.to_json(),
            "network": self._classifier.network.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "rates": self._rates.state(),
        }
        save(self._run.folder, CHECKPOINT, content)


def _step_seed(seed: int, step: int, rank_: int) -> int:
    """Of what is random within a step: dropout."""
    return int(np.random.SeedSequence([seed, step, rank_]).generate_state(1, np.uint64)[0]) >> 1


def _named(group: str, values: dict[str, float]) -> dict[str, float]:
    return {f"{group}/{name}": value for name, value in values.items()}
