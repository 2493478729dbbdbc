"""Made-up results and cohorts whose figures can be worked out by hand."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.classes import TUMOUR_OR_NORMAL, Classes
from wsi_pipeline.cohort.table import Cohort, CohortSlide, write_cohort
from wsi_pipeline.geometry import Mpp, Size
from wsi_pipeline.grid import Grid
from wsi_pipeline.slide.info import Level
from wsi_pipeline.stitch.cells import stitch_cells
from wsi_pipeline.stitch.result import Result
from wsi_pipeline.stitch.writer import write_store
from wsi_pipeline.testing import write_pyramid
from wsi_pipeline.testing.records import make_record
from wsi_pipeline.tiles.plan import Coverage, Plan

Boxes = Sequence[tuple[int, int, int, int]]
"""x, y, width, height in level-0 px."""


def asap(path: Path, tumour: Boxes) -> Path:
    """Write boxes as ASAP annotations."""
    items = []
    for number, (x, y, width, height) in enumerate(tumour):
        corners = [(x, y), (x + width, y), (x + width, y + height), (x, y + height)]
        points = "".join(
            f'<Coordinate Order="{order}" X="{a}" Y="{b}"/>' for order, (a, b) in enumerate(corners)
        )
        items.append(
            f'<Annotation Name="{number}" Type="Polygon" PartOfGroup="Tumor" Color="#F4FA58">'
            f"<Coordinates>{points}</Coordinates></Annotation>"
        )
    groups = '<Group Name="Tumor" PartOfGroup="None" Color="#F4FA58"><Attributes/></Group>'
    path.write_text(
        f"<ASAP_Annotations><Annotations>{''.join(items)}</Annotations>"
        f"<AnnotationGroups>{groups}</AnnotationGroups></ASAP_Annotations>"
    )
    return path


def build_result(
    folder: Path,
    tiles: NDArray[np.float32],
    *,
    name: str,
    coverage: NDArray[np.uint8] | None = None,
    size: Size,
    patch: int = 100,
    threshold: float = 0.5,
    mpp: float = 0.5,
    model: str = "cd" * 32,
    classes: Classes = TUMOUR_OR_NORMAL,
) -> Result:
    """A result whose cells are patches, written by the real writer.

    Args:
        folder: Where; the store is ``NAME.zarr`` in it.
        tiles: Probability of every cell, ``(rows, columns)``; of several classes
            ``(rows, columns, planes)``.
        name: Of the slide.
        coverage: What the plan says of each cell; None: everything is classified.
        size: Of level 0 and the analysis level.
        patch: Side of patch and cell in level-0 px.
        threshold: Of the result.
        mpp: µm per level-0 px.
        model: SHA-256 of the model.
        classes: What it answers for.
    """
    levels = (Level(size, 1.0), Level(Size(size.width // 4, size.height // 4), 4.0))
    grid = Grid(0, size, 1.0, 1.0, patch, patch, Mpp(mpp, mpp))
    shape = (grid.size.height, grid.size.width)
    assert tiles.shape[:2] == shape, f"the grid is {shape}"
    if coverage is None:
        coverage = np.full(shape, Coverage.CLASSIFIED, np.uint8)
    rows, columns = np.nonzero(coverage == Coverage.CLASSIFIED)
    plan = Plan(
        grid=grid,
        cells=np.stack([columns, rows], axis=1).astype(np.int64),
        tissue=np.ones(len(rows), np.float32),
        coverage=coverage,
        settled=0,
        unreadable=np.empty((0, 2), np.int64),
    )
    probabilities = tiles[rows, columns].astype(np.float32)
    cells = stitch_cells(plan, [(plan.cells, probabilities)], classes)
    record = make_record(grid, levels, cells, name=name, threshold=threshold, synthetic=True)
    record = replace(record, model=replace(record.model, name="squares", version="2", sha256=model))
    store = folder / f"{name}.zarr"
    write_store(
        store,
        name=name,
        plan=plan,
        probabilities=probabilities,
        cells=cells,
        threshold=threshold,
        levels=levels,
        attributes=record.to_json(),
    )
    return Result(store)


@dataclass(frozen=True)
class Laboratory:
    """A folder of slides, annotations, results and a table of them."""

    folder: Path

    @property
    def table(self) -> Path:
        return self.folder / "cohort.csv"

    @property
    def results(self) -> Path:
        return self.folder / "results"

    def slide(
        self,
        name: str,
        tiles: Sequence[Sequence[float]],
        tumour: Boxes = (),
        *,
        pixels: bool = False,
        **row: Any,
    ) -> CohortSlide:
        """A slide of cells of 100 px with its result; its row of the table.

        Args:
            name: Of the slide.
            tiles: Probability of every cell.
            tumour: Boxes of level-0 px.
            pixels: Whether there is a file of the slide itself.
            row: Columns of the table that are otherwise.
        """
        values = np.array(tiles, np.float32)
        size = Size(values.shape[1] * 100, values.shape[0] * 100)
        self.results.mkdir(exist_ok=True)
        build_result(self.results, values, name=name, size=size)
        facts: dict[str, Any] = {
            "label": "tumour" if tumour else "normal",
            "patient": name,
            "centre": "",
            "annotated": "full" if tumour else "none",
        }
        if tumour:
            facts |= {"truth": asap(self.folder / f"{name}.xml", tumour), "truth_kind": "asap"}
        if pixels:
            image = np.full((size.height, size.width, 3), 180, np.uint8)
            write_pyramid(self.folder / f"{name}.tiff", image)
            facts["path"] = self.folder / f"{name}.tiff"
        return CohortSlide(name=name, **(facts | row))

    def cohort(self, *slides: CohortSlide) -> Cohort:
        """Write the table."""
        cohort = Cohort(slides, self.table)
        write_cohort(cohort, self.table)
        return cohort
