"""What ``model.yaml`` says: network, classes, preprocessing, threshold, training, licence."""

import math
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import (
    BeforeValidator,
    Field,
    PlainSerializer,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from wsi_pipeline.classes import Classes, ModelClass, Task
from wsi_pipeline.model.architecture import Architecture
from wsi_pipeline.model.input_description import (
    Frozen,
    ImageFit,
    MapOutput,
    Normalisation,
    Preprocessing,
)
from wsi_pipeline.model.predictor import Head
from wsi_pipeline.model.screen_section import SCREEN, ScreenSection
from wsi_pipeline.model.slide_level_section import SlideLevelSection
from wsi_pipeline.notice import LONGEST, notice_of

WEIGHTS = "weights.safetensors"
REFERENCE = "reference.npz"
#: A network that is an OpenVINO graph, and its weights; instead of `WEIGHTS`.
GRAPH, GRAPH_WEIGHTS = "network.xml", "network.bin"
#: A text about the model by whoever made it, and the licence, where they came with it.
CARD = "README.md"
DOCUMENTS = (CARD, "LICENSE", "LICENSE.txt", "LICENSE.md", "LICENCE", "NOTICE")
#: A network that ONNX Runtime computes.
ONNX = "network.onnx"
#: What a package keeps its network in.
_NETWORK_FILES = {"graph": (GRAPH, GRAPH_WEIGHTS), "onnx": (ONNX,), "weights": (WEIGHTS,)}

Precision = Literal["fp32", "bf16", "fp16", "int8"]


class Threshold(Frozen):
    """The probability at and above which a cell is of a class, and how it was chosen."""

    value: float = Field(gt=0, lt=1)
    chosen: str


class Calibration(Frozen):
    """Temperature the logit is divided by before the sigmoid (Guo et al. 2017); 1 leaves it."""

    temperature: float = Field(default=1.0, gt=0)
    fitted: str = "not calibrated"


Triple = tuple[float, float, float]


class TrainingColours(Frozen):
    """Optical densities (R, G, B) of the training patches' tissue px.

    Attributes:
        patches: How many were measured.
        mean: Mean of their means.
        std: Mean of their standard deviations.
        covariance: Of their means, from patch to patch.
    """

    patches: int = Field(ge=8)
    mean: Triple
    std: Triple
    covariance: tuple[Triple, Triple, Triple]

    @model_validator(mode="after")
    def _is_covariance(self) -> Self:
        matrix = np.array(self.covariance)
        # Rounded to a few digits, the least eigenvalue may end a little below zero.
        if not (np.array_equal(matrix, matrix.T) and np.linalg.eigvalsh(matrix)[0] > -1e-5):
            raise ValueError("the covariance is not symmetric and positive")
        return self


class Training(Frozen):
    """What the model was trained on and how well it did there, in its maker's words."""

    data: str
    synthetic: bool = False
    metrics: dict[str, float] = Field(default_factory=dict)
    #: To tell slides that look otherwise; where absent, reference and calibration patches serve.
    colours: TrainingColours | None = None


def _class_of(given: Any) -> Any:
    if isinstance(given, str):
        return ModelClass(given)
    if isinstance(given, Mapping) and set(given) <= {"name", "colour"}:
        given = ModelClass(str(given.get("name", "")), str(given.get("colour", "")))
    if isinstance(given, ModelClass) and given.colour and not _COLOUR.fullmatch(given.colour):
        raise ValueError(f"{given.colour!r} is no colour; it is written #rrggbb")
    return given


def _plain(one: ModelClass) -> str | dict[str, str]:
    return {"name": one.name, "colour": one.colour} if one.colour else one.name


_COLOUR = re.compile(r"#[0-9a-f]{6}")
#: What the description of an encoder has in place of classes; ``model.yaml`` has none of it.
_NO_CLASSES: dict[str, Any] = {
    "task": "multilabel",
    "classes": (),
    "positive": "",
    "head": None,
    "threshold": {"value": 0.5, "chosen": "none: an encoder has no classes"},
    "calibration": {},
}
#: A name, or a name with a colour.
_Class = Annotated[ModelClass, BeforeValidator(_class_of), PlainSerializer(_plain)]


class ModelDescription(Frozen):
    """The contents of ``model.yaml``."""

    format: Literal[1] = 1
    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    version: str
    architecture: Architecture
    task: Task = "binary"
    classes: tuple[_Class, ...] = (ModelClass("normal"), ModelClass("tumour"))
    #: The class of interest, by which slides are ranked.
    positive: str = "tumour"
    #: What makes probabilities of the network's answers; ``none`` where they are probabilities.
    head: Literal["sigmoid", "softmax", "none"] | None = None
    #: Whether the network answers with a number for each class, with features (an encoder, which
    #: has no classes), or with a map of each class,
    output: Literal["classes", "features", "map"] = "classes"
    #: which is this.
    map: MapOutput | None = None
    #: Side of the square that is cut from the slide.
    patch_px: int = Field(gt=0, le=4096)
    preprocessing: Preprocessing = Preprocessing()
    #: How single images become the patch; packages trained on single images state it.
    images: ImageFit | None = None
    #: µm per px of the training patches; or
    mpp: float | None = Field(default=None, gt=0)
    #: the pyramid level they were cut from.
    level: int | None = Field(default=None, ge=0)
    normalisation: Normalisation = Normalisation()
    threshold: Threshold
    calibration: Calibration = Calibration()
    training: Training
    #: In a few words what everybody who sees a result must know of the model: shown with every
    #: result. Where the package states none, it is made of `training.synthetic`.
    notice: str = Field(default="", max_length=LONGEST, pattern=r"^[^\n]*$")
    licence: str
    intended_use: str
    #: Largest difference from the reference probabilities allowed to a runtime of each precision;
    #: of an encoder, by how much the cosine with the reference features may fall short of 1.
    tolerance: Mapping[Precision, float]
    #: SHA-256 (hex) of every other file of the package.
    files: Mapping[str, str]
    #: The fitted answer for whole slides, where the package has one.
    slide_level: SlideLevelSection | None = None
    #: The first stage that says which tiles are surely negative, where the package has one.
    screen: ScreenSection | None = None

    @model_validator(mode="before")
    @classmethod
    def _of_an_encoder(cls, given: Any) -> Any:
        if not isinstance(given, Mapping) or given.get("output") != "features":
            return given
        stated = sorted(set(given) & set(_NO_CLASSES))
        if stated:
            raise ValueError(f"an encoder has no {stated[0]}; leave it out")
        return {**given, **_NO_CLASSES}

    @model_serializer(mode="wrap")
    def _only_what_it_has(self, plain: SerializerFunctionWrapHandler) -> dict[str, Any]:
        facts: dict[str, Any] = plain(self)
        if self.output == "features":
            facts = {key: value for key, value in facts.items() if key not in _NO_CLASSES}
        # A package without one says nothing of it, as before there were any.
        for name in ("slide_level", "screen"):
            if facts.get(name) is None:
                facts.pop(name, None)
        return facts

    @model_validator(mode="after")
    def _usual_notice(self) -> Self:
        notice = notice_of(self.notice, synthetic=self.training.synthetic)
        object.__setattr__(self, "notice", notice)  # frozen, but not yet anybody's
        return self

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.mpp is None) == (self.level is None):
            raise ValueError("give exactly one of mpp and level")
        classes = self.classification
        if self.activation == "softmax" and classes.task == "multilabel":
            raise ValueError("a softmax makes classes exclude one another; multilabel ones do not")
        if self.activation == "sigmoid" and classes.task == "multiclass":
            raise ValueError("classes that exclude one another need the head softmax, or none")
        if self.output == "features" and self.architecture.kind != "weights":
            raise ValueError("an encoder's package holds weights of a network of timm's")
        self._check_map()
        missing = {*_NETWORK_FILES[self.architecture.kind], REFERENCE} - set(self.files)
        if missing:
            raise ValueError(f"no SHA-256 for {', '.join(sorted(missing))}")
        if self.screen is not None:
            self._check_screen()
        if "fp32" not in self.tolerance:
            raise ValueError("no tolerance for fp32")
        return self

    def _check_screen(self) -> None:
        if self.task != "binary" or self.output != "classes":
            raise ValueError("only a binary model that answers with a number can have a screen")
        if SCREEN not in self.files:
            raise ValueError(f"no SHA-256 for {SCREEN}")

    def _check_map(self) -> None:
        if (self.output == "map") != (self.map is not None):
            raise ValueError(
                "output: map needs stride_px and margin_px under map, others have none"
            )
        if self.map is None:
            return
        if self.architecture.kind == "weights":
            raise ValueError("only a graph or an ONNX file can answer with a map; import it")
        if self.preprocessing.pad is not None or self.preprocessing.crop is not None:
            raise ValueError("a map's place is lost by pad and crop; choose another patch_px")
        kept = self.input_px - 2 * self.map.margin_px
        side = self.map.stride_px * self.map.pool
        if kept < side or kept % side:
            raise ValueError(
                f"{self.input_px} px less two margins of {self.map.margin_px} px are no multiple "
                f"of {side} px (stride_px times pool); choose another patch_px"
            )
        if any(self.patch_px * length % self.input_px for length in (side, self.map.margin_px)):
            raise ValueError(
                "resized by no whole number of px for each cell; choose another resize"
            )

    @property
    def own_head(self) -> Head:
        """What its network answers with of itself."""
        return "features" if self.output == "features" else "classes"

    @property
    def has_features_only(self) -> bool:
        """Whether it answers neither for tiles nor for slides: an encoder by itself."""
        return self.output == "features" and self.slide_level is None

    @property
    def classification(self) -> Classes:
        """The classes and how they exclude one another."""
        return Classes(self.task, self.classes, self.positive)

    @property
    def activation(self) -> Literal["sigmoid", "softmax", "none"]:
        """The head, also where it goes without saying."""
        return self.head or ("softmax" if self.task == "multiclass" else "sigmoid")

    @property
    def units(self) -> int:
        """How many numbers the network answers with: a binary softmax has two."""
        if self.task == "binary":
            return 2 if self.activation == "softmax" else 1
        return len(self.classes)

    @property
    def network_file(self) -> str:
        """What the package holds the network in, or its weights."""
        return _NETWORK_FILES[self.architecture.kind][0]

    @property
    def cell_px(self) -> int | None:
        """Side in px of the patch of what a number of the map is for; None where there is none."""
        if self.map is None:
            return None
        return self.map.stride_px * self.map.pool * self.patch_px // self.input_px

    @property
    def margin_px(self) -> int:
        """Px at each side of the patch that are read for their neighbours only."""
        return 0 if self.map is None else self.map.margin_px * self.patch_px // self.input_px

    @property
    def tile_px(self) -> int:
        """Side of the part of a patch that is answered for, in px of the patch."""
        return self.patch_px - 2 * self.margin_px

    @property
    def answer(self) -> tuple[int, ...]:
        """Shape of the answer for one patch: of the classes, then rows and columns of a map."""
        shape = self.classification.shape
        if self.cell_px is None:
            return shape
        return (*shape, self.tile_px // self.cell_px, self.tile_px // self.cell_px)

    def features_of(self, rows: tuple[int, ...], head: Head) -> int:
        """How many features a runtime's answers have.

        Args:
            rows: Their shape.
            head: What they are; the classes come first.
        """
        if head == "classes":
            return 0
        return rows[1] - (math.prod(self.answer) if head == "both" else 0)

    @property
    def input_px(self) -> int:
        """Side in px of what the network is given."""
        return self.preprocessing.side(self.patch_px)
