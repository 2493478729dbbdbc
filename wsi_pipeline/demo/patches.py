"""The drawn patches that the demo is trained and measured on."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.shift.measuring import Measured
from wsi_pipeline.shift.sampling import NUCLEI_EVERY, sample_patch
from wsi_pipeline.synth import PatchKind, PatchSpread, render_patches
from wsi_pipeline.tissue.colours import Colours, patch_colours, summarise

#: µm per px of the package.
MPP = 0.25
#: Stain and seed of the slides patches are cut from: each seed has textures of its own.
_TRAINING_SLIDES = (("b", 20_162), ("c", 20_163), ("a", 20_161))
_FURTHER_SLIDES = tuple((stain, seed + 10) for stain, seed in _TRAINING_SLIDES)
#: Of normal tissue alone: which of it looks like tumour differs from slide to slide, and most where
#: the stain is that of ``b``.
_NORMAL_SLIDES = tuple(
    (stain, seed + 10 * number)
    for stain, seed in _TRAINING_SLIDES
    for number in range(2, 10 if stain == "b" else 5)
)
_HELD_OUT_SLIDES = (("a", 20_164),)
#: Patches of either class per slide at each resolution: mostly the package's own, some coarser,
#: so that the demo also works on levels 1 and 2.
_TRAINING = {MPP: 50, 0.5: 18, 1.0: 18}
_HELD_OUT = {MPP: 32, 0.5: 8, 1.0: 8}
#: Normal patches per slide as often as on a slide: most of a slide is lymphatic tissue, and what
#: looks most like tumour there is seldom among patches drawn by tissue. Without them 183 of
#: about 4,600 normal tiles of large slides were called tumour. With those of six slides 8 of 5,092
#: of others were (row ``clear`` of ``python -m benchmarks.screen``), with those of all, and with
#: the weights of :mod:`wsi_pipeline.demo.training`, 1.
_COMMON = 100
_MORE_TUMOUR = 100
#: Reference patches of each kind; border patches give the probabilities between 0 and 1.
#: Few, because they are computed at every start.
_REFERENCE: dict[PatchKind, int] = {"tumour": 4, "normal": 4, "border": 8}
_CALIBRATION: dict[PatchKind, int] = {"tumour": 16, "normal": 24, "border": 24}


@dataclass(frozen=True, slots=True)
class Drawing:
    """Patches to draw from one slide, and what they show.

    Attributes:
        stain: Of the slide.
        seed: Of the slide.
        kind: What the patches show.
        count: How many.
        mpp: µm per px.
        spread: How often each tissue comes up.
    """

    stain: str
    seed: int
    kind: PatchKind
    count: int
    mpp: float = MPP
    spread: PatchSpread = "tissue"

    def draw(self) -> NDArray[np.uint8]:
        """The patches, RGB uint8 ``(count, 299, 299, 3)``."""
        return render_patches(
            self.kind,
            self.count,
            seed=self.seed,
            mpp=self.mpp,
            stain=self.stain,
            spread=self.spread,
        )


class Labelled:
    """What drawn patches show and look like, kept in place of their px, which take gigabytes."""

    def __init__(self) -> None:
        self._drawings: list[Drawing] = []
        self._samples: list[NDArray[np.float32]] = []
        self._colours: list[NDArray[np.float32]] = []

    def add(self, drawing: Drawing, patches: NDArray[np.uint8]) -> None:
        """Look at patches.

        Args:
            drawing: Where they come from.
            patches: RGB ``(count, 299, 299, 3)``.
        """
        for patch in patches:
            nuclei = len(self._samples) % NUCLEI_EVERY == 0
            self._samples.append(sample_patch(patch, drawing.mpp if nuclei else None))
            self._colours.append(patch_colours(patch))
        self._drawings.append(drawing)

    @property
    def labels(self) -> NDArray[np.float64]:
        """1 = tumour, ``(n,)``."""
        return self._each([float(one.kind == "tumour") for one in self._drawings])

    @property
    def colours(self) -> Colours:
        """How they are stained, all of them."""
        found = summarise(np.array(self._colours))
        assert found is not None  # there are some, of tissue
        return found

    def measured(self, features: NDArray[np.float64]) -> Measured:
        """What they look like.

        Args:
            features: Pooled features of each, ``(n, d)``.
        """
        slides = dict.fromkeys((one.stain, one.seed) for one in self._drawings)
        number = {slide: index for index, slide in enumerate(slides)}
        unit = self._each([number[one.stain, one.seed] for one in self._drawings])
        return Measured(
            np.stack(self._samples),
            unit.astype(np.int64),
            self.labels.astype(np.int64),
            features.astype(np.float32),
        )

    def _each(self, values: Sequence[float]) -> NDArray[np.float64]:
        return np.repeat(np.array(values, np.float64), [one.count for one in self._drawings])


def both_classes() -> tuple[Sequence[Drawing], Sequence[Drawing]]:
    """As many of either class: to train on, and held out."""
    return (
        [one for stain, seed in _TRAINING_SLIDES for one in _balanced(stain, seed, _TRAINING)],
        [one for stain, seed in _HELD_OUT_SLIDES for one in _balanced(stain, seed, _HELD_OUT)],
    )


def as_on_slides() -> Sequence[Drawing]:
    """Further ones to train on: normal ones as on slides, and some more tumour."""
    more: list[Drawing] = []
    for slide in (*_TRAINING_SLIDES, *_FURTHER_SLIDES, *_NORMAL_SLIDES):
        more.append(Drawing(*slide, "normal", _COMMON, spread="area"))
        # Next to each other: laying a slide out takes longer than drawing its patches.
        if slide in _FURTHER_SLIDES:
            more.append(Drawing(*slide, "tumour", _MORE_TUMOUR))
    return more


def reference_patches() -> NDArray[np.uint8]:
    """For the package's reference, ``(16, 299, 299, 3)``."""
    return _of_kinds(_HELD_OUT_SLIDES[0], _REFERENCE)


def calibration_patches() -> NDArray[np.uint8]:
    """For choosing int8 scales, ``(64, 299, 299, 3)``."""
    return _of_kinds(_TRAINING_SLIDES[-1], _CALIBRATION)


def _balanced(stain: str, seed: int, counts: dict[float, int]) -> list[Drawing]:
    kinds: tuple[PatchKind, ...] = ("tumour", "normal")
    return [
        Drawing(stain, seed, kind, count, mpp) for mpp, count in counts.items() for kind in kinds
    ]


def _of_kinds(slide: tuple[str, int], counts: dict[PatchKind, int]) -> NDArray[np.uint8]:
    return np.concatenate([Drawing(*slide, kind, count).draw() for kind, count in counts.items()])
