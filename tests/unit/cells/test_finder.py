"""The classical finder on drawn fields of known cells."""

import numpy as np
import pytest
from PIL import Image

from wsi_pipeline.cells.classical import ClassicalFinder, ClassicalSettings
from wsi_pipeline.cells.finder import KINDS, Box, FoundCells, Kind
from wsi_pipeline.cells.truth import matches
from wsi_pipeline.testing.smears import DrawnCell, draw_smear, scattered

SIZE = (480, 360)


def boxes_of(found: FoundCells, kind: Kind) -> list[Box]:
    return [cell.box for cell in found.cells if cell.kind == kind]


@pytest.mark.parametrize(("diameter", "size"), [(60.0, SIZE), (32.0, (256, 192))])
def test_every_cell_is_found_whatever_the_magnification(
    diameter: float, size: tuple[int, int]
) -> None:
    drawn = scattered(size, diameter, seed=1)
    found = ClassicalFinder().find(draw_smear(drawn, size))
    assert found.red_cell_px == pytest.approx(diameter, rel=0.2)
    for kind in KINDS:
        truth = [Box(*cell.box(size)) for cell in drawn if cell.kind == kind]
        assert len(boxes_of(found, kind)) == len(truth), kind
        assert matches(boxes_of(found, kind), truth) == len(truth), kind


def test_cells_that_overlap_are_told_apart() -> None:
    pair = [DrawnCell("RBC", 200, 180, 60), DrawnCell("RBC", 240, 190, 60)]
    alone = [DrawnCell("RBC", x, 60, 60) for x in (60, 160, 260, 360)]
    found = ClassicalFinder().find(draw_smear([*pair, *alone], SIZE))
    truth = [Box(*cell.box(SIZE)) for cell in (*pair, *alone)]
    assert matches(boxes_of(found, "RBC"), truth) == len(boxes_of(found, "RBC")) == 6


def test_cells_at_the_border_are_kept_and_marked() -> None:
    drawn = [
        DrawnCell("WBC", 240, 10, 96),
        DrawnCell("RBC", 12, 180, 60),
        *(DrawnCell("RBC", x, 270, 60) for x in (80, 180, 300, 420)),
    ]
    found = ClassicalFinder().find(draw_smear(drawn, SIZE))
    assert {(cell.kind, cell.cut) for cell in found.cells} == {
        ("WBC", True),
        ("RBC", True),
        ("RBC", False),
    }
    assert [cell.box.ymin for cell in found.cells if cell.kind == "WBC"] == [0]
    assert sum(cell.cut for cell in found.cells if cell.kind == "RBC") == 1
    for cell in found.cells:
        assert 0 <= cell.box.xmin < cell.box.xmax <= SIZE[0]
        assert 0 <= cell.box.ymin < cell.box.ymax <= SIZE[1]


def test_boxes_are_in_px_of_the_field_that_was_given() -> None:
    drawn = scattered(SIZE, seed=2)
    image = draw_smear(drawn, SIZE)
    large = np.asarray(Image.fromarray(image).resize((960, 720), Image.Resampling.BICUBIC))
    small, big = (ClassicalFinder().find(pixels) for pixels in (image, large))
    halved = [Box(*(v / 2 for v in (b.xmin, b.ymin, b.xmax, b.ymax))) for b in boxes_of(big, "WBC")]
    assert matches(boxes_of(small, "WBC"), halved) == 1
    assert big.red_cell_px == pytest.approx(2 * small.red_cell_px, rel=0.1)


def test_the_same_px_give_the_same_cells() -> None:
    image = draw_smear(scattered(SIZE, seed=3), SIZE)
    assert ClassicalFinder().find(image) == ClassicalFinder().find(image)


@pytest.mark.parametrize("value", [0, 128, 255])
def test_a_field_of_one_colour_has_no_cells_and_says_so(value: int) -> None:
    found = ClassicalFinder().find(np.full((90, 120, 3), value, np.uint8))
    assert found.cells == ()
    assert "nothing is stained" in found.warnings[0]


def test_noise_has_no_cells() -> None:
    noise = np.random.default_rng(0).normal(205, 4, (90, 120, 3)).clip(0, 255).astype(np.uint8)
    assert ClassicalFinder().find(noise).cells == ()


def test_settings_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 4 px"):
        ClassicalSettings(red_cell_px=1)
    with pytest.raises(ValueError, match="without area"):
        Box(3, 0, 3, 5)
