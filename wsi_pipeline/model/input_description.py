"""What ``model.yaml`` says of the network's input and of a map it answers with."""

from typing import Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from wsi_pipeline.stain.normalisation import StainTarget


class Frozen(BaseModel):
    """Values that are checked once and never change; unknown names are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Resize(Frozen):
    """Resampling to a square of ``px``, as Pillow does it."""

    px: int = Field(gt=0, le=4096)
    interpolation: Literal["nearest", "bilinear", "bicubic", "lanczos", "box", "hamming"] = (
        "bilinear"
    )


class Preprocessing(Frozen):
    """What becomes of a patch before it is normalised: restained, resized, padded, cropped.

    On 8-bit px and with Pillow, as the programs do it that models come from. The stain is that of a
    whole slide or image: whoever reads patches normalises it, a runtime is given such patches.

    Attributes:
        stain: What slides are made like, if they are.
        resize: Resampling, if any.
        pad: Side in px to pad to, the same on both sides; the odd px goes right and below.
        fill: Grey value of the padding.
        crop: Side in px of the centre that is kept.
    """

    stain: StainTarget | None = None
    resize: Resize | None = None
    pad: int | None = Field(default=None, gt=0, le=4096)
    fill: int = Field(default=0, ge=0, le=255)
    crop: int | None = Field(default=None, gt=0, le=4096)

    @model_serializer(mode="wrap")
    def _without_stain(self, plain: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # A package without it says nothing of it, as before there was such a step.
        facts: dict[str, Any] = plain(self)
        if self.stain is None:
            facts.pop("stain", None)
        return facts

    def side(self, patch_px: int) -> int:
        """Side in px of what the network is given, of a patch of ``patch_px``."""
        side = patch_px if self.resize is None else self.resize.px
        side = max(side, self.pad or 0)
        return min(side, self.crop or side)


class MapOutput(Frozen):
    """A map that a network answers with: what of its input each number is for.

    Px are of the network's input, after the preprocessing.

    Attributes:
        stride_px: Px of the input for each px of the map, along each axis.
        margin_px: Px at each side of the input whose answers are thrown away, because the network
            sees padding there.
        pool: Px of the map along each axis whose mean is a cell of the result: makes large slides
            fit into memory.
    """

    stride_px: int = Field(gt=0, le=4096)
    margin_px: int = Field(ge=0, le=2048)
    pool: int = Field(default=1, gt=0, le=4096)


class ImageFit(Frozen):
    """How a single image of another size or shape becomes the patch.

    Attributes:
        how: ``pad`` keeps proportions and fills, ``crop`` keeps proportions and cuts the longer
            side, ``stretch`` changes the proportions.
        fill: RGB of 0-255 that ``pad`` fills with.
        background: ``keep``, or ``cut``: all but the largest stained object near the middle is
            made white first, see :mod:`wsi_pipeline.images.cut_out`.
    """

    how: Literal["pad", "crop", "stretch"] = "pad"
    fill: tuple[int, int, int] = (255, 255, 255)
    background: Literal["keep", "cut"] = "keep"

    @model_validator(mode="after")
    def _colour(self) -> Self:
        if not all(0 <= value <= 255 for value in self.fill):
            raise ValueError("fill is three numbers of 0-255")
        return self


class Normalisation(Frozen):
    """Per-channel ``(value - mean) / std`` on RGB values 0-255."""

    mean: tuple[float, float, float] = (127.5, 127.5, 127.5)
    std: tuple[float, float, float] = (127.5, 127.5, 127.5)
