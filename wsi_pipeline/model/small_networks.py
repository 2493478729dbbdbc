"""Two small networks for single cells, trained from random weights."""

from collections.abc import Callable, Sequence

from torch import Tensor, nn

from wsi_pipeline.errors import PackageError
from wsi_pipeline.model.architecture import Architecture

#: Share of what a pair leaves that is dropped in training.
_DROPPED = 0.25


class SmallNetwork(nn.Module):
    """Pairs of 3 × 3 convolutions without padding, each pair with a local maximum; a dense layer.

    Args:
        channels: Of each pair.
        dropped: Whether a share of what a pair leaves is dropped in training.
        dense: Units of the dense layer.
        dropout: Share of them that is dropped in training.
        units: Of the last layer.
        input_px: Side in px of what it is given.

    Raises:
        PackageError: the input is too small for so many convolutions.
    """

    def __init__(
        self,
        channels: Sequence[int],
        *,
        dropped: bool,
        dense: int,
        dropout: float,
        units: int,
        input_px: int,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before, side = 3, input_px
        for after in channels:
            layers += [nn.Conv2d(before, after, 3), nn.ReLU(inplace=True)]
            layers += [nn.Conv2d(after, after, 3), nn.ReLU(inplace=True), nn.MaxPool2d(2)]
            if dropped:
                layers.append(nn.Dropout(_DROPPED))
            before, side = after, (side - 4) // 2
            if side < 1:
                raise PackageError(
                    "a small network", f"{input_px} px are too few for it; use 64 px or more"
                )
        self.features = nn.Sequential(*layers)
        self.dense = nn.Sequential(nn.Linear(before * side * side, dense), nn.ReLU(inplace=True))
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(dense, units)

    def forward(self, patches: Tensor) -> Tensor:
        """Logits, ``(n, units)``."""
        hidden = self.dense(self.features(patches).flatten(1))
        logits: Tensor = self.fc(self.dropout(hidden))
        return logits


def _two_pairs(architecture: Architecture, units: int, input_px: int) -> nn.Module:
    """``2x2C1D``: two pairs of 64 channels, each with dropout; 128 dense units."""
    return SmallNetwork(
        (64, 64),
        dropped=True,
        dense=128,
        dropout=architecture.dropout,
        units=units,
        input_px=input_px,
    )


def _four_pairs(architecture: Architecture, units: int, input_px: int) -> nn.Module:
    """``2x2x1x1C1D``: two pairs of 64 channels, two of 96; 256 dense units."""
    return SmallNetwork(
        (64, 64, 96, 96),
        dropped=False,
        dense=256,
        dropout=architecture.dropout,
        units=units,
        input_px=input_px,
    )


#: Networks made for one size of their input.
SIZED: dict[str, Callable[[Architecture, int, int], nn.Module]] = {
    "cnn-2x2c1d": _two_pairs,
    "cnn-2x2x1x1c1d": _four_pairs,
}
