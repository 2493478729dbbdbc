"""The network: EfficientNet-Lite0 on an enlarged patch, and a small head for each cell.

A PatchCamelyon label speaks of the central third of a patch (Veeling et al. 2018). The head
therefore looks at each place of a cell of 32 px, knowing the mean of what surrounds the cell, and
answers for the cell. A patch of several cells gives a map; nothing is computed twice.
"""

from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

#: µm per px of PatchCamelyon, and the side in px of the part its labels speak of: a cell.
MPP, CELL_PX = 0.972, 32
#: Side in px of what one cell is judged by: itself and its eight neighbours.
SEEN_PX = 3 * CELL_PX
#: Side in px of a patch: three by three cells, each with its neighbours.
PATCH_PX = 5 * CELL_PX
#: Places along a side of a cell; one is 8 px wide.
PLACES = 4
#: What the trunk's weights expect (Liu 2020): RGB of 0-255 as ``(value - mean) / std``.
MEAN, STD = 127.0, 128.0


class Trunk(nn.Module):
    """Features of every place of a patch, which is enlarged twofold.

    The outputs of four stages lie at strides 4, 8, 16 and 32 px of the enlarged patch; here all
    are brought to 16, 8 px of the patch.
    """

    #: Blocks after which features are taken, and the channels of each.
    stages: ClassVar = {1: 24, 2: 40, 4: 112, 6: 320}
    #: How many features a place has.
    features: ClassVar = sum(stages.values())

    def __init__(self) -> None:
        super().__init__()
        import timm  # noqa: PLC0415 - its import takes seconds

        whole = cast("Any", timm.create_model("tf_efficientnet_lite0", pretrained=False))
        self.conv_stem, self.bn1, self.blocks = whole.conv_stem, whole.bn1, whole.blocks

    def forward(self, patches: Tensor) -> Tensor:
        """``(n, 496, side / 8, side / 8)``.

        Args:
            patches: ``(n, 3, side, side)``, normalised; the side a multiple of 16.
        """
        values = functional.interpolate(
            patches, scale_factor=2.0, mode="bicubic", align_corners=False
        )
        values = self.bn1(self.conv_stem(values))
        found: list[Tensor] = []
        for number, block in enumerate(self.blocks):
            values = block(values)
            if number in self.stages:
                found.append(values)
        fine, middle, coarse, deep = found
        return torch.cat(
            [
                functional.avg_pool2d(fine, 4),
                functional.avg_pool2d(middle, 2),
                coarse,
                functional.interpolate(deep, scale_factor=2.0, mode="nearest"),
            ],
            1,
        )


class Head(nn.Module):
    """One logit for each cell, by the features of its places and the mean of its surround.

    Each place gets ``hidden`` rectified sums; their mean and their soft maximum over the cell are
    weighed. The soft maximum is what lets a few cells of a tumour decide.

    Args:
        hidden: Sums for each place.
        dropout: Share of the pooled sums.
    """

    #: How sharp the soft maximum is.
    sharpness: ClassVar = 4.0

    def __init__(self, hidden: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.place = nn.Conv2d(Trunk.features, hidden, 1)
        self.surround = nn.Conv2d(Trunk.features, hidden, 1, bias=False)
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Conv2d(2 * hidden, 1, 1)

    def forward(self, places: Tensor, surround: Tensor) -> Tensor:
        """Logits, ``(n, 1, cells, cells)``.

        Args:
            places: Features of every place, ``(n, 496, 4 * cells, 4 * cells)``.
            surround: Their mean over the eight neighbours of each cell, ``(n, 496, cells, cells)``.
        """
        base = _by_place(self.surround(surround))
        sums = functional.relu(self.place(places) + base)
        most = functional.max_pool2d(sums, PLACES)
        spread = torch.exp(self.sharpness * (sums - _by_place(most)))
        soft = most + torch.log(functional.avg_pool2d(spread, PLACES)) / self.sharpness
        pooled = torch.cat([functional.avg_pool2d(sums, PLACES), soft], 1)
        return cast("Tensor", self.out(self.dropout(pooled)))


class LymphNodeNetwork(nn.Module):
    """Trunk and head: a patch in, logits of its cells out.

    Args:
        trunk: With its weights.
        head: With its weights.
    """

    def __init__(self, trunk: Trunk, head: Head) -> None:
        super().__init__()
        self.trunk, self.head = trunk, head

    def forward(self, patches: Tensor) -> Tensor:
        """Logits, ``(n, 1, side / 32, side / 32)``; 0 of the outermost, whose surround is not seen.

        Args:
            patches: ``(n, 3, side, side)``, normalised; the side a multiple of 32, at least 96.
        """
        places, surround = inner(self.trunk(patches))
        return functional.pad(self.head(places, surround), (1, 1, 1, 1))


def inner(features: Tensor) -> tuple[Tensor, Tensor]:
    """What the head is given of the cells that have all eight neighbours.

    Args:
        features: Of every place, ``(n, 496, 4 * cells, 4 * cells)``.

    Returns:
        The inner cells' places, and the mean of their neighbours.
    """
    cells = functional.avg_pool2d(features, PLACES)
    centre = cells[:, :, 1:-1, 1:-1]
    surround = (9 * functional.avg_pool2d(cells, 3, 1) - centre) / 8
    return features[:, :, PLACES:-PLACES, PLACES:-PLACES], surround


def _by_place(cells: Tensor) -> Tensor:
    return functional.interpolate(cells, scale_factor=float(PLACES), mode="nearest")
