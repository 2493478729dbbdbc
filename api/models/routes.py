"""``/v1/models``: the model packages a job can name."""

from typing import Annotated, Literal, Self

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field

from api.access import Viewer
from api.dependencies import Services
from api.models.in_browser import runs_in_browser
from wsi_pipeline.analysis_settings import DEFAULT_MODEL
from wsi_pipeline.classes import Task
from wsi_pipeline.model.description import CARD
from wsi_pipeline.model.package import ModelPackage

router = APIRouter(prefix="/v1/models", tags=["models"])


class ModelOut(BaseModel):
    """An installed model package."""

    name: Annotated[str, Field(description="Name used in jobs")]
    version: str
    sha256: Annotated[str, Field(description="SHA-256 of the package")]
    mpp: Annotated[float | None, Field(description="µm per px it was trained at; or")]
    level: Annotated[int | None, Field(description="the pyramid level it was trained on")]
    patch_px: Annotated[int, Field(description="Side of a patch, px")]
    classes: list[str]
    positive: Annotated[str, Field(description="The class of interest: slides are ranked by it")]
    task: Annotated[
        Task,
        Field(
            description="binary: two classes, a probability of the positive one. multiclass: one "
            "of several. multilabel: any of several"
        ),
    ]
    output: Annotated[
        Literal["classes", "features", "map"],
        Field(
            description="A number for each class, which single images need, or a map of each; "
            "features: an encoder, which answers for whole slides only"
        ),
    ]
    class_colours: Annotated[
        dict[str, str], Field(description="#rrggbb of each class that it gives a probability of")
    ]
    threshold: Annotated[
        float,
        Field(
            description="Probability from which a cell is of a class; of a multiclass model the "
            "most likely one counts instead"
        ),
    ]
    threshold_chosen: Annotated[str, Field(description="How the threshold was chosen")]
    synthetic: Annotated[
        bool, Field(description="Trained on synthetic tissue only: not valid for real tissue")
    ]
    notice: Annotated[
        str,
        Field(description="To be shown wherever the model or its results are; empty: nothing"),
    ]
    intended_use: str
    licence: str
    card: Annotated[
        str, Field(description="Text about it by its maker; empty if none came with it")
    ]
    architecture: Annotated[str, Field(description="The network")]
    calibration: Annotated[str, Field(description="How probabilities were calibrated")]
    training_data: Annotated[str, Field(description="As stated by its author")]
    metrics: Annotated[dict[str, float], Field(description="Measurements stated by its author")]
    in_browser: Annotated[
        bool, Field(description="Whether a browser can run it by itself: it has an ONNX file")
    ]

    @classmethod
    def of(cls, name: str, package: ModelPackage) -> Self:
        """From a package and the name it is found by."""
        description = package.description
        return cls(
            name=name,
            version=description.version,
            sha256=package.sha256,
            mpp=description.mpp,
            level=description.level,
            patch_px=description.patch_px,
            classes=[one.name for one in description.classes],
            positive=description.positive,
            task=package.classes.task,
            output=description.output,
            class_colours={one.name: one.colour for one in package.classes.planes},
            threshold=description.threshold.value,
            threshold_chosen=description.threshold.chosen,
            synthetic=description.training.synthetic,
            notice=description.notice,
            intended_use=description.intended_use,
            licence=description.licence,
            card=package.documents().get(CARD, ""),
            architecture=description.architecture.name,
            calibration=description.calibration.fitted,
            training_data=description.training.data,
            metrics=description.training.metrics,
            in_browser=runs_in_browser(package),
        )


class ModelList(BaseModel):
    """Installed model packages: the usual one first, the others by name."""

    models: list[ModelOut]


@router.get("")
def list_models(access: Viewer, services: Annotated[Services, Depends(Services.of)]) -> ModelList:  # noqa: ARG001 - checked
    """Installed model packages."""
    found = sorted(services.models.installed(), key=lambda one: (one[0] != DEFAULT_MODEL, one[0]))
    return ModelList(models=[ModelOut.of(name, package) for name, package in found])
