"""What every source form tells of itself and can do."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.errors import WsiError
from wsi_pipeline.model.input_description import Preprocessing

Head = Literal["sigmoid", "softmax", "none"]
Pooling = Literal["token", "average", "token-and-average"]
Floats = NDArray[np.float32]
Triple = tuple[float, float, float]
#: Of ImageNet's px, 0-1; what networks are mostly given where nothing is said.
IMAGENET: tuple[Triple, Triple] = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


class ImportRefusedError(WsiError):
    """A model cannot be imported.

    Attributes:
        source: Its file or folder.
        cause: What is wrong, and the remedy.
    """

    _made_of = ("source", "cause")

    def __init__(self, source: Path | str, cause: str) -> None:
        super().__init__(f"{source}: {cause}")
        self.source = Path(source)
        self.cause = cause


@dataclass(frozen=True, slots=True)
class ImportRequest:
    """What the user says of a model; what is None is taken from the source, or guessed and told.

    Attributes:
        name: Of the package.
        architecture: Network of a checkpoint, a name of timm's or torchvision's.
        classes: Names, in order of the answers.
        positive: Class of interest.
        head: What makes probabilities of the answers.
        mpp: µm per px.
        patch_px: Side of a patch.
        mean: Of the px, 0-1.
        std: Of the px, 0-1.
        licence: Of the model.
        card: A text about the model that goes into the package.
        resize: Whether patches are resized and cropped as the source says; else the network is
            given them as they are cut.
        trust: Whether files that can run code may be loaded, confined.
        reference: A folder of images or an npz with ``patches``; None draws some.
        int8: Whether int8 is measured, and allowed where it is near.
        stride: Of a map, px of the input for each px of it.
        margin: Of a map, px at each side of the input whose answers are thrown away.
        pool: Of a map, px along each axis whose mean is a cell.
        encoder: Whether what comes before the last layer is imported, as an encoder; so is a
            source that has no last layer and says so.
        pooling: Of an encoder that is a transformer; None is its network's.
    """

    name: str
    architecture: str | None = None
    classes: tuple[str, ...] = ()
    positive: str | None = None
    head: Head | None = None
    mpp: float | None = None
    patch_px: int | None = None
    mean: Triple | None = None
    std: Triple | None = None
    licence: str | None = None
    card: Path | None = None
    resize: bool = True
    trust: bool = False
    reference: Path | None = None
    int8: bool = True
    stride: int | None = None
    margin: int | None = None
    pool: int | None = None
    encoder: bool = False
    pooling: Pooling | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """A model as it was found.

    Attributes:
        form: What it is, for messages.
        runtime: What answers for it.
        answer: Given float32 NCHW as the network takes it and a folder, writes the package's
            network there and returns what the source's runtime answers in fp32.
        side: Side in px of what the network takes; None where it takes any, or does not say.
        architecture: For ``model.yaml``.
        preprocessing: Before the normalisation.
        patch_px: Side of a patch, where stated.
        mean: Of the px, 0-1, where stated.
        std: Likewise.
        mpp: µm per px, where stated.
        classes: Names, where stated.
        head: What its program makes of the answers, where that is known.
        documents: Card and licence, which are copied.
        licence: Where stated.
        guessed: What was taken for the source's, for the user, a sentence each.
        keep: Writes the network as its own runtime takes it, as architecture ``onnx``, for when
            OpenVINO does not compute it near enough.
        encoder: What ``architecture`` of ``model.yaml`` has besides the name, of a source that
            answers with features; None of one that answers with classes.
    """

    form: str
    runtime: str
    answer: Callable[[Floats, Path], Floats]
    side: int | None = None
    architecture: str = "graph"
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    patch_px: int | None = None
    mean: Triple | None = None
    std: Triple | None = None
    mpp: float | None = None
    classes: tuple[str, ...] = ()
    head: Literal["by number"] | None = None
    documents: tuple[Path, ...] = ()
    licence: str | None = None
    guessed: tuple[str, ...] = ()
    keep: Callable[[Path], None] | None = None
    encoder: dict[str, Any] | None = None


def centre_of(resized: int, side: int, interpolation: str) -> Preprocessing:
    """Resized, then the centre: the preprocessing of torchvision and timm for square images.

    Args:
        resized: Side in px after resizing; where it is smaller, black is added around it, as
            torchvision's ``CenterCrop`` does.
        side: Of the centre, px.
        interpolation: As Pillow calls it.
    """
    steps: dict[str, Any] = {"resize": {"px": resized, "interpolation": interpolation}}
    if resized < side:
        steps["pad"] = side
    return Preprocessing.model_validate(steps | {"crop": side})


def check_trust(path: Path, what: str, *, trust: bool) -> None:
    """Refuse a file that can run code, unless the user trusts it.

    Args:
        path: The file.
        what: What it is, and what is done against that.
        trust: What the user says.

    Raises:
        ImportRefusedError: the user does not trust it.
    """
    if not trust:
        raise ImportRefusedError(path, f"is {what}; if you know who made it, pass --trust")
