"""What a result can be had as: how each file is made, and what it is called.

Writers run on worker threads and import what they need there: none of matplotlib, Zarr and SciPy
is loaded before somebody asks.
"""

import hashlib
import io
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from fastapi import Query

from api.dependencies import Services
from api.jobs.export_cache import ExportCache
from api.problems import GONE, UNAVAILABLE, ApiError, kind_of
from wsi_pipeline.errors import DamagedSlideError, ResultError, SlideError
from wsi_pipeline.service.access import Access
from wsi_pipeline.service.jobs.requests import NotThereError
from wsi_pipeline.service.jobs.results import JobResult
from wsi_pipeline.service.slides import LINKED, Slide
from wsi_pipeline.stitch.checksums import check_files

if TYPE_CHECKING:
    from wsi_pipeline.stitch.result import Result

# ruff: noqa: PLC0415 - see above

log = logging.getLogger(__name__)


#: The class that something is asked of.
ClassName = Annotated[
    str | None,
    Query(
        alias="class",
        max_length=200,
        description="Name of a class that has probabilities, as `heatmap` lists them; without it "
        "the positive one",
    ),
]


def key_of(of: str | None) -> str:
    """What stands for a class in names of files and in ETags; nothing where none is named."""
    return "" if of is None else hashlib.sha256(of.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Source:
    """What files are made of.

    Attributes:
        services: The application's.
        found: The result.
        slide: The slide of the job; None where it was deleted.
    """

    services: Services
    found: JobResult
    slide: Slide | None

    @classmethod
    def of(cls, services: Services, access: Access, job_id: str) -> "Source":
        """Of a job's result.

        Raises:
            NotThereError: there is no such job in the caller's workspace.
            ConflictError: it has no result.
        """
        found = services.results.of_job(access, job_id)
        try:
            slide = services.slides.get(access, found.slide_id)
        except NotThereError:
            slide = None
        return cls(services, found, slide)

    def result(self) -> "Result":
        """The result, opened; copied first where it lies in an object store.

        Its files are compared with their checksums each time: nothing is made of damaged ones.

        Raises:
            ApiError: it cannot be reached now.
            ResultError: it is damaged.
        """
        from wsi_pipeline.stitch.result import Result

        copies = self.services.settings.work_dir / "results"
        try:
            path = self.services.storage.local_path(self.found.location, copies)
            check_files(path)
            return Result(path)
        except ResultError as error:
            told = {"result_id": self.found.id, "cause": error.cause}
            log.error("a stored result is damaged", extra={"facts": told})  # noqa: TRY400 - told is all
            raise
        except OSError as error:
            facts = {"result_id": self.found.id, "errno": error.errno}
            log.warning("a result cannot be reached", extra={"facts": facts})
            raise ApiError(UNAVAILABLE, "the result cannot be reached; try again") from None

    def slide_file(self) -> Path | None:
        """The slide's file on this host; None where the slide was deleted.

        Raises:
            FileNotFoundError: it is gone.
            OSError: it cannot be reached now.
        """
        if self.slide is None or self.slide.location is None:
            return None
        location = self.slide.location
        if not location.startswith(LINKED):
            copies = self.services.settings.work_dir / "slides"
            return self.services.storage.local_path(location, copies)
        return self.services.links.linked(location)


def write_heatmap(source: Source, path: Path, of: str | None) -> None:
    """The probability of a class over the slide; without its tissue where the slide was deleted.

    Raises:
        UsageError: there is no such class.
        ApiError: the slide's file is gone or damaged.
        OSError: it cannot be reached now.
    """
    from wsi_pipeline.export.heatmap import write_heatmap

    result = source.result()
    facts = {"slide_id": source.found.slide_id}
    try:
        slide = source.slide_file()
        if slide is not None:
            _check_same(slide, source.slide)
        write_heatmap(result, path, slide=slide, of=of)
    except FileNotFoundError:
        log.warning("a slide's file is gone", extra={"facts": facts})
        raise ApiError(GONE, "the slide's file does not exist any more") from None
    except SlideError as error:
        facts["error"] = type(error).__name__
        log.warning("a slide cannot be drawn", extra={"facts": facts})
        # Its own words may hold a path, and a path a patient's name.
        raise ApiError(kind_of(error), "the slide cannot be read for its picture") from None


def _check_same(path: Path, slide: Slide | None) -> None:
    """Refuse a linked file that was replaced by another slide."""
    from wsi_pipeline.slide import open_slide

    stated = slide and slide.info and slide.info["levels"][0]["size"]
    reader = open_slide(path)
    try:
        size = reader.info.size
    finally:
        reader.close()
    if stated and (size.width, size.height) != (stated["width"], stated["height"]):
        raise DamagedSlideError(path, "is another file than the one that was checked")


def write_regions(source: Source, path: Path, _of: str | None) -> None:
    """Outlines of every class, as QuPath reads them."""
    from wsi_pipeline.export.geojson import write_geojson

    write_geojson(source.result(), path)


def write_tiles(source: Source, path: Path, _of: str | None) -> None:
    """The tile table."""
    from wsi_pipeline.export.table import write_csv

    write_csv(source.result(), path)


def write_mask(source: Source, path: Path, of: str | None) -> None:
    """The mask of a class as a pyramidal TIFF.

    Raises:
        UsageError: there is no such class.
    """
    from wsi_pipeline.export.mask_tiff import write_tiff

    write_tiff(source.result(), path, of=of)


def write_archive(source: Source, path: Path, _of: str | None) -> None:
    """The whole store in one file."""
    from wsi_pipeline.export.archive import write_zip

    write_zip(source.result(), path)


@dataclass(frozen=True, slots=True)
class Download:
    """A file a result can be had as.

    Attributes:
        name: What it is called below the job.
        media_type: Of its content.
        summary: What it is, for the documentation.
        write: Makes it, of a class where the file is of one.
        problems: Statuses of what may go wrong.
        of_a_class: Whether it is of one class, not of all.
    """

    name: str
    media_type: str
    summary: str
    write: Callable[[Source, Path, str | None], None]
    problems: tuple[int, ...] = (404, 409, 422, 503)
    of_a_class: bool = False

    def headers(self, job_id: str) -> dict[str, str]:
        """How a browser shall keep it: under a name that tells nobody whose slide it is."""
        kind = "inline" if self.media_type == "image/png" else "attachment"
        return {"Content-Disposition": f'{kind}; filename="{job_id}.{self.name}"'}

    async def open(
        self, renderings: ExportCache, source: Source, of: str | None = None
    ) -> io.BufferedReader:
        """The file, made now if it was not before.

        Args:
            renderings: Where it is kept.
            source: What it is made of.
            of: The class; None: the positive one.

        Raises:
            UsageError: there is no such class.
            ApiError: it cannot be made, or not now.
            ResultError: the result is damaged.
        """

        def write(path: Path) -> None:
            try:
                self.write(source, path, of)
            except OSError as error:
                facts = {"result_id": source.found.id, "file": self.name, "errno": error.errno}
                log.warning("a file cannot be made", extra={"facts": facts})
                raise ApiError(UNAVAILABLE, "the file cannot be created now; try again") from None

        # Pictures of one result differ between those who have its slide and those who deleted it.
        slide = "" if source.slide is not None else "without-slide."
        named = "" if of is None else f"{key_of(of)}."
        name = f"{slide}{named}{self.name}"
        return await renderings.open(source.found.id, name, write)


HEATMAP = Download(
    "heatmap.png",
    "image/png",
    "The probability of a class over the slide, with scale and legend; over a neutral background "
    "if the slide was deleted.",
    write_heatmap,
    (404, 409, 410, 422, 503),
    of_a_class=True,
)
REGIONS = Download(
    "regions.geojson",
    "application/geo+json",
    "Outlines of the regions of every class in level-0 px, as QuPath reads them; those of the "
    "positive class first.",
    write_regions,
)
TILES = Download("tiles.csv", "text/csv", "One row per classified tile.", write_tiles)
MASK = Download(
    "mask.tiff",
    "image/tiff",
    "The mask of a class, 255 = the class, as a pyramidal TIFF of the slide's sizes from the "
    "analysis level on.",
    write_mask,
    of_a_class=True,
)
ARCHIVE = Download(
    "mask.zarr.zip",
    "application/zip",
    "The whole result in one uncompressed ZIP, which Zarr reads in place.",
    write_archive,
)
