"""Training of the head: several small networks from different starts, merged into one.

All sums are taken by one thread in one order: the same features give the same head to the bit.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from wsi_pipeline.lymph_node.features import Features
from wsi_pipeline.lymph_node.network import Head

#: Networks that are merged, and the rectified sums of each.
MEMBERS, HIDDEN = 3, 64
_DROPOUT = 0.5
_EPOCHS = 20
_BATCH = 64
_RATE = 2e-3
_DECAY = 1.0
#: Labels are moved towards the middle by this much: some of them are wrong.
_SMOOTHING = 0.02
_SCORED_AT_ONCE = 256


def train_head(
    views: Sequence[Features],
    tumour: NDArray[np.bool_],
    chosen: NDArray[np.int64],
    progress: Callable[[int], None] = lambda _: None,
) -> Head:
    """Train a head, in evaluation mode.

    Args:
        views: Features of all patches in each view; each batch is drawn from one of them.
        tumour: Of all patches, ``(n,)``.
        chosen: Which patches are trained on; those that are named twice weigh twice.
        progress: Told how many networks more were trained.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        members = []
        for seed in range(MEMBERS):
            members.append(_train(views, tumour, chosen, seed))
            progress(1)
    finally:
        torch.set_num_threads(threads)
    return _merged(members)


def score(head: Head, features: Features) -> NDArray[np.float64]:
    """Logits of cells, ``(n,)``."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            parts = [
                head(some.places.float(), some.surround.float()).flatten()
                for some in (
                    features[np.arange(start, min(start + _SCORED_AT_ONCE, len(features)))]
                    for start in range(0, len(features), _SCORED_AT_ONCE)
                )
            ]
    finally:
        torch.set_num_threads(threads)
    return torch.cat(parts).double().numpy()


def _train(
    views: Sequence[Features], tumour: NDArray[np.bool_], chosen: NDArray[np.int64], seed: int
) -> Head:
    rng = np.random.default_rng([13, seed])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        head = Head(HIDDEN, _DROPOUT)
        places, surround = (_moments(part) for part in _parts(views[0][chosen]))
        labels = torch.from_numpy(tumour * (1 - 2 * _SMOOTHING) + _SMOOTHING).float()
        optimiser = torch.optim.AdamW(head.parameters(), _RATE, weight_decay=_DECAY)
        steps = max(1, len(chosen) // _BATCH)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimiser, _RATE, total_steps=_EPOCHS * steps
        )
        for _ in range(_EPOCHS):
            order = rng.permutation(chosen)
            for step in range(steps):
                batch = order[step * _BATCH : (step + 1) * _BATCH]
                some = views[int(rng.integers(len(views)))][batch]
                logits = head(_standard(some.places, places), _standard(some.surround, surround))
                loss = nn.functional.binary_cross_entropy_with_logits(
                    logits.flatten(), labels[batch]
                )
                optimiser.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]  # torch's own lacks types
                optimiser.step()
                schedule.step()
    return _plain(head.eval(), places, surround)


def _parts(features: Features) -> tuple[Tensor, Tensor]:
    return features.places, features.surround


def _moments(features: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each feature, ``(496, 1, 1)``."""
    values = features.double()
    mean, std = values.mean((0, 2, 3)), values.std((0, 2, 3)) + 1e-3
    return mean.float()[:, None, None], std.float()[:, None, None]


def _standard(features: Tensor, moments: tuple[Tensor, Tensor]) -> Tensor:
    return (features.float() - moments[0]) / moments[1]


def _plain(head: Head, places: tuple[Tensor, Tensor], surround: tuple[Tensor, Tensor]) -> Head:
    """A head of features as they are that answers what one of standardised features does."""
    state = head.state_dict()
    for layer, (mean, std) in (("place.weight", places), ("surround.weight", surround)):
        state[layer] = state[layer] / std
        shift = (state[layer].double() * mean.double()).sum((1, 2, 3))
        state["place.bias"] = state["place.bias"] - shift.float()
    head.load_state_dict(state)
    return head


def _merged(members: Sequence[Head]) -> Head:
    """One head whose logit is the mean of all members'."""
    states = [one.state_dict() for one in members]
    first = ("place.weight", "place.bias", "surround.weight")
    state = {name: torch.cat([one[name] for one in states]) for name in first}
    # The pooled sums are the means of all members, then their soft maxima.
    pooled = torch.stack([one["out.weight"].reshape(2, HIDDEN) for one in states], 1)
    state["out.weight"] = pooled.reshape(1, -1, 1, 1) / len(members)
    state["out.bias"] = torch.stack([one["out.bias"] for one in states]).mean(0)
    head = Head(MEMBERS * HIDDEN)
    head.load_state_dict(state)
    return head.eval()
