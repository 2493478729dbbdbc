"""The networks that are trained: a bag of tiles' features in, logits of the slide out.

Written from the papers:

* Ilse, Tomczak, Welling: Attention-based deep multiple instance learning, ICML 2018 (gated
  attention, equation 9).
* Lu, Williamson, Chen et al.: Data-efficient and weakly supervised computational pathology on
  whole-slide images, Nature Biomedical Engineering 5, 2021 (CLAM, one attention branch).
* Shao, Bian, Chen et al.: TransMIL, NeurIPS 2021. Its self-attention is approximated in the paper
  (Xiong et al. 2021); here it is exact, and slides of very many tiles
  are bounded otherwise, see ``MOST_TOKENS`` there.

``there`` is :mod:`~wsi_pipeline.slide_level.attention.forward`, which computes the same without
torch; names of parameters are those of its arrays.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from wsi_pipeline.slide_level.attention.design import HeadDesign

#: Sides of the three convolutions of PPEG, "pyramid position encoding generator".
PPEG_SIDES = (7, 5, 3)


@dataclass(frozen=True, slots=True)
class Seen:
    """What a network says of one slide.

    Attributes:
        logits: ``(outputs,)``.
        attention: Of each tile, 0 or more, sum 1; ``(n,)``.
        hidden: What each tile was reduced to, ``(n, hidden)``.
    """

    logits: Tensor
    attention: Tensor
    hidden: Tensor


class GatedAttention(nn.Module):
    """Attention pooling with a gate (Ilse et al. 2018); of ``clam-sb`` the same.

    Args:
        design: Sizes.
        dropout: Share of the numbers of a tile, in training.
    """

    def __init__(self, design: HeadDesign, dropout: float) -> None:
        super().__init__()
        self.stem = nn.Linear(design.features, design.hidden)
        self.tanh = nn.Linear(design.hidden, design.attention)
        self.gate = nn.Linear(design.hidden, design.attention)
        self.weigh = nn.Linear(design.attention, 1)
        self.out = nn.Linear(design.hidden, design.outputs)
        self.dropout = nn.Dropout(dropout)
        # Two outputs for every class: whether a tile is evidence of it. Only training asks them.
        self.instance = nn.Linear(design.hidden, 2 * design.outputs) if _clusters(design) else None

    def forward(self, bags: Sequence[Tensor]) -> list[Seen]:
        """Of several slides; of all tiles at once what does not depend on their slide.

        Args:
            bags: ``(n, features)`` each.
        """
        sizes = [len(bag) for bag in bags]
        hidden = self.dropout(functional.relu(self.stem(torch.cat(list(bags)))))
        gated = torch.tanh(self.tanh(hidden)) * torch.sigmoid(self.gate(hidden))
        weights = self.weigh(self.dropout(gated))[:, 0].split(sizes)
        attention = [torch.softmax(one, 0) for one in weights]
        parts = hidden.split(sizes)
        pooled = torch.stack([one @ part for one, part in zip(attention, parts, strict=True)])
        return list(map(Seen, self.out(pooled), attention, parts))


class MeanPool(nn.Module):
    """The mean over the tiles, every one as much as the next.

    Args:
        design: Sizes.
        dropout: Share of the numbers of a tile, in training.
    """

    def __init__(self, design: HeadDesign, dropout: float) -> None:
        super().__init__()
        self.stem = nn.Linear(design.features, design.hidden)
        self.out = nn.Linear(design.hidden, design.outputs)
        self.dropout = nn.Dropout(dropout)

    def forward(self, bags: Sequence[Tensor]) -> list[Seen]:
        """Of several slides.

        Args:
            bags: ``(n, features)`` each.
        """
        hidden = self.dropout(functional.relu(self.stem(torch.cat(list(bags)))))
        parts = hidden.split([len(bag) for bag in bags])
        logits = self.out(torch.stack([part.mean(0) for part in parts]))
        alike = [torch.full_like(part[:, 0], 1 / len(part)) for part in parts]
        return list(map(Seen, logits, alike, parts))


class TransMil(nn.Module):
    """Two layers of self-attention with a class token, and between them where a tile lies.

    The tiles, in plan order, fill a square row by row; its rest is filled with the first of them
    again, as in the paper.

    Args:
        design: Sizes.
        dropout: Share of the numbers of a tile, in training.
    """

    def __init__(self, design: HeadDesign, dropout: float) -> None:
        super().__init__()
        width = design.hidden
        self.stem = nn.Linear(design.features, width)
        self.token = nn.Parameter(torch.zeros(1, width))
        self.first = _Layer(width, design.heads, dropout)
        self.second = _Layer(width, design.heads, dropout)
        self.places = nn.ModuleList(
            nn.Conv2d(width, width, side, padding=side // 2, groups=width) for side in PPEG_SIDES
        )
        self.norm = nn.LayerNorm(width)
        self.out = nn.Linear(width, design.outputs)
        self.dropout = nn.Dropout(dropout)

    def forward(self, bags: Sequence[Tensor]) -> list[Seen]:
        """Of several slides, one after another.

        Args:
            bags: ``(n, features)`` each.
        """
        return [self._see(bag) for bag in bags]

    def _see(self, bag: Tensor) -> Seen:
        hidden = self.dropout(functional.relu(self.stem(bag)))
        count, side = len(hidden), math.ceil(math.sqrt(len(hidden)))
        which = torch.arange(side * side, device=bag.device) % count
        values, _ = self.first(torch.cat([self.token, hidden[which]]))
        square = values[1:].T.reshape(1, -1, side, side)
        placed = square + sum(convolve(square) for convolve in self.places)
        values = torch.cat([values[:1], placed.reshape(-1, side * side).T])
        values, looked = self.second(values)
        shares = looked[1:] / looked[1:].sum()
        attention = torch.zeros(count, dtype=bag.dtype, device=bag.device)
        attention = attention.index_add(0, which, shares)
        return Seen(self.out(self.norm(values[0])), attention, hidden)


class _Layer(nn.Module):
    """Normalise, attend with several heads, add."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.queries = nn.Linear(width, 3 * width, bias=False)
        self.mix = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)
        self._heads = heads

    def forward(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """New values ``(t, width)``, and how the first token looks at all, ``(t,)``, sum 1."""
        tokens, width = values.shape
        shape = (tokens, 3, self._heads, width // self._heads)
        query, key, value = self.queries(self.norm(values)).reshape(shape).permute(1, 2, 0, 3)
        weights = torch.softmax(query @ key.transpose(1, 2) / math.sqrt(shape[3]), -1)
        mixed = self.mix((weights @ value).permute(1, 0, 2).reshape(tokens, width))
        return values + self.dropout(mixed), weights[:, 0].mean(0)


def new_network(design: HeadDesign, dropout: float = 0.0) -> nn.Module:
    """A network of a design, with torch's usual first weights of its common generator."""
    if design.kind == "transmil":
        return TransMil(design, dropout)
    if design.kind == "mean-pool":
        return MeanPool(design, dropout)
    return GatedAttention(design, dropout)


def _clusters(design: HeadDesign) -> bool:
    return design.kind == "clam-sb" and design.outputs > 1
