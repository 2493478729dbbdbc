"""Small cohorts on disk: textured slides with planted tumour, their annotations and table."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from wsi_pipeline.cohort.table import Cohort, CohortSlide, Split, write_cohort
from wsi_pipeline.testing import write_pyramid
from wsi_pipeline.testing.models import NORMAL_COLOUR, TUMOUR_COLOUR

#: Slides are this many px long, of 0.5 µm.
SIDE = 512
#: Where the tumour of a slide that has one lies, level-0 px.
TUMOUR = (128, 96, 384, 352)
#: What a training on such slides is asked for: seconds on one core.
SMALL = (
    "--recipe", "camelyon-baseline", "--mpp", "0.5", "--threads", "1",
    "--set", "patch_px=64", "--set", "labels.central_px=32", "--set", "sampling.stride=32",
    "--set", "sampling.jitter=4", "--set", "sampling.validation_patches=64",
    "--set", "sampling.patches=96", "--set", "batch=8", "--set", "epochs=3",
    "--set", "checkpoint_steps=3", "--set", "selection.patience=null",
)  # fmt: skip


def draw_slide(path: Path, *, tumour: bool, seed: int) -> None:
    """A slide of noisy tissue; tumour is of another colour and coarser."""
    rng = np.random.default_rng(seed)
    image = np.empty((SIDE, SIDE, 3))
    image[:] = NORMAL_COLOUR
    image += rng.normal(0, 18, (SIDE, SIDE, 1))
    if tumour:
        left, top, right, bottom = TUMOUR
        coarse = rng.normal(0, 18, ((bottom - top) // 4, (right - left) // 4, 1))
        image[top:bottom, left:right] = np.array(TUMOUR_COLOUR) * 0.35 + image[
            top:bottom, left:right
        ] * 0.65 + coarse.repeat(4, axis=0).repeat(4, axis=1)  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    write_pyramid(path, image.clip(0, 255).astype(np.uint8))


def outline(path: Path, box: tuple[int, int, int, int] = TUMOUR) -> None:
    """ASAP annotations of one rectangle, level-0 px."""
    left, top, right, bottom = box
    corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
    points = "".join(
        f'<Coordinate Order="{i}" X="{x}" Y="{y}"/>' for i, (x, y) in enumerate(corners)
    )
    path.write_text(
        '<?xml version="1.0"?><ASAP_Annotations><Annotations><Annotation Name="0" Type="Polygon" '
        f'PartOfGroup="Tumor" Color="#F4FA58"><Coordinates>{points}</Coordinates></Annotation>'
        "</Annotations><AnnotationGroups/></ASAP_Annotations>"
    )


def make_cohort(
    folder: Path, splits: Sequence[Split | None] = ("train", "train", "validation", "test")
) -> Path:
    """A tumour and a normal slide of one patient for each split; returns the table."""
    slides = []
    for number, split in enumerate(splits):
        for tumour in (True, False):
            name = f"{'tumour' if tumour else 'normal'}_{number}"
            path = folder / f"{name}.tiff"
            draw_slide(path, tumour=tumour, seed=2 * number + tumour)
            truth = folder / f"{name}.xml" if tumour else None
            if truth is not None:
                outline(truth)
            slides.append(
                CohortSlide(
                    name=name,
                    label="tumour" if tumour else "normal",
                    patient=f"p{number}",
                    centre="one",
                    split=split,
                    annotated="full" if tumour else "none",
                    path=path,
                    truth=truth,
                    truth_kind="asap" if tumour else None,
                )
            )
    table = folder / "cohort.csv"
    write_cohort(Cohort(tuple(slides)), table)
    return table
