"""Answers come in order, whatever the batches, the bad images and what is known already."""

from pathlib import Path

import numpy as np
import pytest

from wsi_pipeline.errors import PackageError
from wsi_pipeline.images.classification import (
    Answer,
    Outcome,
    check_answers_classes,
    classify,
)
from wsi_pipeline.images.collection import LabelledImage
from wsi_pipeline.testing import FakePredictor
from wsi_pipeline.testing.models import describe_model

from .conftest import MakeImages

ABOUT = describe_model(64)


def positive(outcomes: list[Outcome]) -> list[float | None]:
    """Probability of the positive class, which is the second; None of a bad image."""
    return [None if one.answer is None else one.answer.probabilities[1] for one in outcomes]


@pytest.mark.parametrize("batch", [1, 7, 64])
def test_the_order_is_the_images_and_bad_ones_take_no_place(
    make_images: MakeImages, tmp_path: Path, batch: int
) -> None:
    images = make_images(40)
    for place in (0, 5, 6, 39):
        images[place].path.write_text("no image")
    (tmp_path / "empty.png").touch()
    images.insert(20, LabelledImage(tmp_path / "empty.png"))
    images.insert(21, LabelledImage(tmp_path / "absent.png"))
    model = FakePredictor(patch_px=64, batch_size=batch)
    outcomes = list(classify(images, model, ABOUT))
    assert [one.image for one in outcomes] == images
    expected: list[float | None] = [index / 64 for index in range(40)]
    for place in (0, 5, 6, 39):
        expected[place] = None
    expected[20:20] = [None, None]
    assert positive(outcomes) == expected
    assert [str(one.image.path) in one.error for one in outcomes] == [
        value is None for value in expected
    ]
    assert sum(model.batches) == 36
    model.close()


def test_what_is_known_is_not_computed_again(make_images: MakeImages) -> None:
    images = make_images(30)
    model = FakePredictor(patch_px=64)
    first = list(classify(images, model, ABOUT))
    known = {one.answer.sha256: one.answer for one in first[:29] if one.answer}
    model.batches.clear()
    assert list(classify(images, model, ABOUT, known)) == first
    assert model.batches == [1]
    model.close()


def test_an_error_of_the_model_ends_the_run(make_images: MakeImages) -> None:
    def broken(_: object) -> np.ndarray:
        raise MemoryError("no memory")

    model = FakePredictor(broken, patch_px=64)
    with pytest.raises(MemoryError):
        list(classify(make_images(3), model, ABOUT))
    model.close()


def test_images_of_other_shapes_are_fitted_as_the_package_says(make_images: MakeImages) -> None:
    from PIL import Image

    image = make_images(1)[0]
    wide = np.full((32, 64, 3), (190, 60, 90), np.uint8)
    Image.fromarray(wide).save(image.path)
    model = FakePredictor(patch_px=64)
    shares = {}
    for how in ("pad", "stretch"):
        about = describe_model(64, images={"how": how})
        (outcome,) = classify([image], model, about)
        assert outcome.answer is not None
        assert (outcome.answer.width, outcome.answer.height) == (64, 32)
        shares[how] = outcome.answer.probabilities[1]
    assert shares == {"pad": 0.5, "stretch": 1.0}  # white is not redder than blue
    model.close()


def test_an_answer_survives_as_a_line() -> None:
    answer = Answer("ab" * 32, 3, 4, (0.1, float(np.float32(0.9))), ("a\nwarning",))
    line = answer.to_json()
    assert "\n" not in line
    assert Answer.from_json(line) == answer
    for wrong in ("", "{", "[]", '{"sha256": "a"}'):
        with pytest.raises(ValueError, match=r"no answer|Expecting|delimiter"):
            Answer.from_json(wrong)


def test_a_model_that_answers_with_maps_is_refused() -> None:
    fields = {
        "architecture": {"name": "graph"},
        "output": "map",
        "map": {"stride_px": 8, "margin_px": 0},
        "files": dict.fromkeys(("network.xml", "network.bin", "reference.npz"), ""),
    }
    with pytest.raises(PackageError, match="answers with a map"):
        check_answers_classes(describe_model(64, **fields), "name")
    check_answers_classes(ABOUT, "name")
