"""A package that looks at drawn tissue with everything a package may have, and slides for it.

Its network tells the kinds of synthetic slides apart; networks behind its features weigh tiles by
how much like tumour they are; it knows what its training data looked like.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.familiarise import Sample, add_statistics, familiarise
from wsi_pipeline.model.network import linear_layer, load_classifier
from wsi_pipeline.model.package import ModelPackage, load_package
from wsi_pipeline.model.runtime import RuntimeRequest
from wsi_pipeline.slide_level.attention.design import HeadDesign
from wsi_pipeline.slide_level.attention.head_file import HEADS, Heads, save_heads, shapes
from wsi_pipeline.slide_level.calibration import SlideCalibration
from wsi_pipeline.synth import CLASSES, labelled_patches
from wsi_pipeline.synth.inks import PEN_COLOURS
from wsi_pipeline.testing.copies import copy_package
from wsi_pipeline.testing.kinds import KINDS_MPP, KINDS_PATCH_PX
from wsi_pipeline.testing.slides import write_pyramid

CELL_PX = KINDS_PATCH_PX
#: Cells of tissue; a ring of glass, one cell wide, lies around them.
ROWS, COLUMNS = 10, 12
_EACH = 48
#: Slides of the training, and patches of each.
_UNITS, _PATCHES = 16, 8
_SECTION = {
    "kind": "abmil",
    "classes": ["normal", "tumour"],
    "negative": "normal",
    "fitted": "by hand",
    "slides": {"normal": 70, "tumour": 30},
    "patients": 100,
    "calibration": {"method": "one slope", "fitted": "by hand"},
    "rule": {
        "slides": 100,
        "positives": 30,
        "needed": 60,
        "clear_below": 0.2,
        "suspicious_from": 0.8,
    },
}


@dataclass(frozen=True)
class Tissue:
    """Patches of normal tissue and of tumour, uint8 ``(n, side, side, 3)``; half are for training.

    Attributes:
        normal: Normal tissue.
        tumour: Tumour.
    """

    normal: NDArray[np.uint8]
    tumour: NDArray[np.uint8]

    @classmethod
    def drawn(cls) -> "Tissue":
        """Of a small synthetic slide; takes seconds."""
        patches, labels = labelled_patches(
            _EACH, seed=5, patch_px=CELL_PX, mpp=KINDS_MPP, slide_px=2048
        )
        return cls(*(patches[labels == CLASSES.index(name)] for name in ("normal", "tumour")))

    def slide(
        self, path: Path, tumour: int, *, pen: tuple[slice, slice] | None = None, seed: int = 1
    ) -> None:
        """Write a slide of patches that are not for training.

        Args:
            path: The file.
            tumour: Cells that are tumour: the first ones, row by row.
            pen: Rows and columns of cells, glass included, that blue ink lies over.
            seed: Chooses the patches.
        """
        rng = np.random.default_rng(seed)
        cells = self.normal[_EACH // 2 :][rng.integers(_EACH // 2, size=ROWS * COLUMNS)]
        cells[:tumour] = self.tumour[_EACH // 2 :][rng.integers(_EACH // 2, size=tumour)]
        inner = cells.reshape(ROWS, COLUMNS, CELL_PX, CELL_PX, 3).swapaxes(1, 2)
        height, width = ROWS * CELL_PX, COLUMNS * CELL_PX
        image = np.full((height + 2 * CELL_PX, width + 2 * CELL_PX, 3), (242, 240, 243), np.uint8)
        image[CELL_PX:-CELL_PX, CELL_PX:-CELL_PX] = inner.reshape(height, width, 3)
        if pen is not None:
            place = tuple(slice(one.start * CELL_PX, one.stop * CELL_PX) for one in pen)
            image[place] = image[place] * np.array(PEN_COLOURS["blue"])
        write_pyramid(path, image, mpp=KINDS_MPP)


def attending_package(
    package: ModelPackage, tissue: Tissue, folder: Path, cache: Path
) -> ModelPackage:
    """The package of synthetic kinds with training statistics and networks for slides.

    The slide's probability grows with the tumour: of 120 tiles none makes it clear, 4 leave it in
    between, 40 make it suspicious.
    """
    rng = np.random.default_rng(1)
    # Few patches of each slide, so that slides differ; from no tumour to nothing else.
    shares = np.linspace(0, 1, _UNITS)[rng.permutation(_UNITS)]
    kinds = [rng.random(_PATCHES) < share for share in shares]
    # Every other slide is held out: its patches are none of the others'.
    chosen = 2 * rng.integers(_EACH // 4, size=(_UNITS, _PATCHES)) + np.arange(_UNITS)[:, None] % 2
    samples = (
        Sample(np.where(of[:, None, None, None], tissue.tumour[one], tissue.normal[one]), None)
        for of, one in zip(kinds, chosen, strict=True)
    )
    request = RuntimeRequest("cpu", "fp32", cache, runtime="torch")
    add_statistics(package, familiarise(package, samples, "slide", request), folder / "familiar")
    last = linear_layer(load_classifier(package).network)
    weight, bias = (one.detach().numpy() for one in (last.weight, last.bias))
    normal, tumour = CLASSES.index("normal"), CLASSES.index("tumour")
    design = HeadDesign(kind="abmil", features=weight.shape[1], outputs=2, hidden=8, attention=4)
    member = {name: np.zeros(shape, np.float32) for name, shape in shapes(design).items()}
    # How much more like tumour than like normal tissue a tile is, from a point below both.
    member["stem.weight"][0] = weight[tumour] - weight[normal]
    member["stem.bias"][0] = bias[tumour] - bias[normal] + 6
    member["tanh.weight"][0, 0] = 0.15
    member["gate.bias"][0] = 9
    member["weigh.weight"][0, 0] = 4
    member["out.weight"][1, 0] = 1
    member["out.bias"][1] = -3.7
    calibration = SlideCalibration(1.0, np.zeros(2), np.array([[1.0, 0, 0], [0.8, 0, 0.1]] * 20))
    known_package = load_package(folder / "familiar")
    copy_package(known_package, folder / "networks")
    save_heads(folder / "networks" / HEADS, Heads(design, (member, member)), calibration)
    with_networks = replace(known_package, folder=folder / "networks")
    # Slides are not ranked by a model that says it was trained on synthetic tissue.
    return copy_package(
        with_networks,
        folder / "attending",
        slide_level=_SECTION,
        training={"data": "drawn patches"},
        notice="",
    )
