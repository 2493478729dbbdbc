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
from wsi_pipeline.model.head_shape import HeadShape
from wsi_pipeline.model.input_description import (
    Frozen,
    ImageFit,
    MapOutput,
    Normalisation,
    Preprocessing,
)
from wsi_pipeline.model.predictor import Head
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


class Architecture(Frozen):
    """The network: the name of its trunk and what this project puts behind it.

    Attributes:
        name: ``graph`` for a network that is an OpenVINO graph, ``onnx`` for one that is an ONNX
            file; ``baseline`` or ``vgg16`` for this
            project's own, as ``vgg19-convolutions``, ``cnn-2x2c1d`` and ``cnn-2x2x1x1c1d`` are;
            else a name of timm's, of which ``timm/NAME`` is the longer form.
        pooling: Global pooling: ``network`` leaves it as the network has it.
        dropout: Share of the pooled features, in training.
        head: What is there in place of the linear layer, if anything.
    """

    name: str = Field(pattern=r"^(timm/)?[A-Za-z0-9][A-Za-z0-9._-]*$")
    pooling: Literal["max", "average", "network"] = "network"
    dropout: float = Field(default=0.5, ge=0, lt=1)
    head: HeadShape | None = None

    @model_serializer(mode="wrap")
    def _without_head(self, plain: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # A package with the usual layer says nothing of it, as before there were other heads.
        facts: dict[str, Any] = plain(self)
        if self.head is None:
            facts.pop("head", None)
        return facts

    @model_validator(mode="before")
    @classmethod
    def _usual_pooling(cls, given: Any) -> Any:
        # These were the only networks before timm's came, and the maximum was their default.
        if isinstance(given, dict) and given.get("name") in ("inception_v3", "vgg16", "baseline"):
            return {"pooling": "max", **given}
        return given

    @property
    def kind(self) -> Literal["graph", "onnx", "weights"]:
        """What the package holds the network as: an OpenVINO graph, an ONNX file, or weights."""
        return self.name if self.name in ("graph", "onnx") else "weights"  # type: ignore[return-value]  # the names are of the kinds


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
    #: Whether the network answers with a number for each class, or with a map of each,
    output: Literal["classes", "map"] = "classes"
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
    #: Largest difference from the reference probabilities allowed to a runtime of each precision.
    tolerance: Mapping[Precision, float]
    #: SHA-256 (hex) of every other file of the package.
    files: Mapping[str, str]
    #: The fitted answer for whole slides, where the package has one.
    slide_level: SlideLevelSection | None = None

    @model_serializer(mode="wrap")
    def _without_slide_level(self, plain: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # A package without one says nothing of it, as before there were any.
        facts: dict[str, Any] = plain(self)
        if self.slide_level is None:
            facts.pop("slide_level", None)
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
        self._check_map()
        missing = {*_NETWORK_FILES[self.architecture.kind], REFERENCE} - set(self.files)
        if missing:
            raise ValueError(f"no SHA-256 for {', '.join(sorted(missing))}")
        if "fp32" not in self.tolerance:
            raise ValueError("no tolerance for fp32")
        return self

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
