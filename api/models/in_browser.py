"""``/v1/models/{name}/browser`` and ``…/onnx``: what a browser needs to run a model by itself."""

from typing import Annotated, Self

from fastapi import APIRouter, Depends, Path, Query
from fastapi.responses import FileResponse
from pydantic import BaseModel, Field

from api.access import Viewer
from api.dependencies import Services
from api.problems import NOT_FOUND, ApiError, responses
from wsi_pipeline.classes import Task
from wsi_pipeline.images.conformal import USUAL_COVERAGE, conformal_of
from wsi_pipeline.model.input_description import ImageFit, Preprocessing
from wsi_pipeline.model.onnx_file import carries_onnx, find_onnx
from wsi_pipeline.model.package import ModelPackage

router = APIRouter(prefix="/v1/models", tags=["models"])

Name = Annotated[str, Path(description="Of the model", max_length=200)]
Coverage = Annotated[
    float,
    Query(description="Share of images whose set shall hold the true class", gt=0, lt=1),
]


class BrowserClass(BaseModel):
    """A class of the model."""

    name: str
    colour: Annotated[str, Field(description="#rrggbb; empty: it has none")]


class BrowserModel(BaseModel):
    """How to run a model in a browser, and what its answers mean."""

    name: str
    version: str
    sha256: Annotated[str, Field(description="SHA-256 of the package")]
    onnx_bytes: Annotated[int, Field(description="Size of the ONNX file")]
    classes: Annotated[
        list[BrowserClass],
        Field(
            description="In the order of the probabilities; of a binary model, which gives that "
            "of the positive class only, both classes"
        ),
    ]
    positive: Annotated[str, Field(description="The class of interest")]
    task: Task
    threshold: Annotated[
        float, Field(description="Probability from which an image is of the positive class")
    ]
    patch_px: Annotated[int, Field(description="Side of the square that an image becomes, px")]
    input_px: Annotated[int, Field(description="Side of what the network is given, px")]
    preprocessing: Annotated[
        Preprocessing, Field(description="From the square to what the network is given")
    ]
    images: Annotated[ImageFit, Field(description="How an image becomes the square")]
    coverage: Annotated[float, Field(description="Of the prediction sets")]
    set_limit: Annotated[
        float | None,
        Field(
            description="A class is in an image's set if 1 - its probability is at most this; "
            "null: the package holds nothing to make sets with"
        ),
    ]
    probe: Annotated[
        list[float],
        Field(
            description="Probabilities of the image whose value at place i, over rows, columns "
            "and channels, is (37 i + 11 floor(i / 8) + floor(i / 1021)) mod 256: to find out "
            "whether the browser computes rightly"
        ),
    ]
    notice: Annotated[str, Field(description="To be shown with every answer; empty: nothing")]
    intended_use: str
    licence: str

    @classmethod
    def of(cls, name: str, package: ModelPackage, coverage: float) -> Self:
        """From a package that carries an ONNX file.

        Raises:
            ApiError: it carries none.
        """
        about = package.description
        found = find_onnx(package)
        if found is None:
            raise _none(name)
        if not runs_in_browser(package):
            raise ApiError(
                NOT_FOUND,
                f"the model {name} treats images as no browser does; use `wsi classify`",
            )
        path, probe = found
        conformal = conformal_of(package)
        colours = {one.name: one.colour for one in package.classes.planes}
        return cls(
            name=name,
            version=about.version,
            sha256=package.sha256,
            onnx_bytes=path.stat().st_size,
            classes=[
                BrowserClass(name=one, colour=colours.get(one, "")) for one in package.classes.names
            ],
            positive=about.positive,
            task=about.task,
            threshold=about.threshold.value,
            patch_px=about.patch_px,
            input_px=about.input_px,
            preprocessing=about.preprocessing,
            images=about.images or ImageFit(),
            coverage=coverage,
            set_limit=None if conformal is None else conformal.limit(coverage),
            probe=probe,
            notice=about.notice,
            intended_use=about.intended_use,
            licence=about.licence,
        )


@router.get("/{name}/browser", responses=responses(404, 422))
def get_browser_model(
    access: Viewer,  # noqa: ARG001 - checked
    services: Annotated[Services, Depends(Services.of)],
    name: Name,
    coverage: Coverage = USUAL_COVERAGE,
) -> BrowserModel:
    """How to run a model in a browser."""
    return BrowserModel.of(name, _installed(services, name), coverage)


@router.get(
    "/{name}/onnx",
    response_class=FileResponse,
    responses={
        200: {"content": {"application/octet-stream": {}}, "description": "The ONNX file"},
        **responses(404, 422),
    },
)
def get_onnx(
    access: Viewer,  # noqa: ARG001 - checked
    services: Annotated[Services, Depends(Services.of)],
    name: Name,
) -> FileResponse:
    """The model as one ONNX file, with normalisation, calibration and head."""
    package = _installed(services, name)
    found = find_onnx(package)
    if found is None:
        raise _none(name)
    headers = {"Cache-Control": "no-cache", "ETag": f'"{package.sha256}"'}
    return FileResponse(found[0], 200, headers, "application/octet-stream", filename=f"{name}.onnx")


def _installed(services: Services, name: str) -> ModelPackage:
    if not services.models.has(name):
        raise ApiError(NOT_FOUND, f"no model {name} is installed")
    return services.models.get(name)


def runs_in_browser(package: ModelPackage) -> bool:
    """Whether a browser can run it by itself: it has an ONNX file, and its images need no more.

    Pages resample as the server does, but for the nearest px, cut no cells out and normalise no
    stain.
    """
    steps, images = package.description.preprocessing, package.description.images
    is_known = steps.resize is None or steps.resize.interpolation != "nearest"
    is_known &= steps.stain is None
    return carries_onnx(package) and is_known and (images is None or images.background == "keep")


def _none(name: str) -> ApiError:
    return ApiError(
        NOT_FOUND,
        f"the model {name} has no ONNX file: run `wsi models export {name} --to onnx` where torch "
        "is installed",
    )
