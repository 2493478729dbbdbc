"""Images of two laboratories before a package that knows one of them."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from wsi_pipeline.images.classification import Answer, classify
from wsi_pipeline.images.collection import LabelledImage
from wsi_pipeline.images.familiarity import Familiarity, unlike_in_words
from wsi_pipeline.images.table import Row, earlier_answers, write_tables
from wsi_pipeline.images.verdict import Judge
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.model.pinning import write_description
from wsi_pipeline.shift.measuring import Measured, measure
from wsi_pipeline.shift.sampling import sample_patch
from wsi_pipeline.shift.statistics import write_statistics
from wsi_pipeline.testing import FakePredictor, red_share

SIDE = 64
OWN, FOREIGN = (160, 80, 160), (90, 60, 170)


def square(seed: int, colour: tuple[int, int, int] = OWN) -> NDArray[np.uint8]:
    rng = np.random.default_rng(seed)
    shade = rng.normal(0, 12, (SIDE, SIDE, 1)) + rng.normal(0, 5)
    return np.asarray((np.array(colour) + shade).clip(0, 255), np.uint8)


def answer(patches: NDArray[np.uint8]) -> NDArray[np.float32]:
    means = patches.astype(np.float32).mean(axis=(1, 2))
    return np.concatenate([red_share(patches)[:, None], means, means[:, :1] ** 2], axis=1)


def measured(first: int, count: int) -> Measured:
    squares = np.stack([square(seed) for seed in range(first, first + count)])
    samples = np.stack([sample_patch(one, None) for one in squares])
    return Measured(samples, np.arange(count), np.zeros(count, int), answer(squares)[:, 1:])


@pytest.fixture(scope="module")
def package(stub_package: ModelPackage, tmp_path_factory: pytest.TempPathFactory) -> ModelPackage:
    folder = tmp_path_factory.mktemp("package")
    for name in stub_package.description.files:
        (folder / name).write_bytes((stub_package.folder / name).read_bytes())
    statistics = measure("image", measured(0, 60), measured(100, 30))
    assert statistics is not None
    write_statistics(folder, statistics)
    fields = stub_package.description.model_dump(mode="json", exclude={"files"})
    return write_description(folder, fields)


def asked(package: ModelPackage, folder: Path, colour: tuple[int, int, int]) -> list[Answer]:
    images = []
    for seed in range(300, 325):
        path = folder / f"{colour[0]}-{seed}.png"
        Image.fromarray(square(seed, colour)).save(path)
        images.append(LabelledImage(path))
    predictor = FakePredictor(answer, patch_px=SIDE, features=4)
    familiarity = Familiarity(package, predictor)
    found = list(classify(images, predictor, package.description, None, familiarity))
    answers = [one.answer for one in found if one.answer is not None]
    plain = FakePredictor(patch_px=SIDE)
    without = list(classify(images, plain, package.description))
    assert [one.answer.probabilities for one in without if one.answer is not None] == [
        one.probabilities for one in answers
    ], "features change no probability"
    # As the table keeps them, for a run that goes on.
    judge = Judge(package, 0.9)
    rows = [Row(one, judge(one.answer.probabilities)) for one in found if one.answer is not None]
    write_tables(folder, rows, package.classes.names, 2, {"name": "a"})
    kept, _ = earlier_answers(folder, {"name": "a"})
    assert kept == {one.sha256: one for one in answers}
    return answers


def test_foreign_images_are_marked_and_own_ones_are_not(
    package: ModelPackage, tmp_path: Path
) -> None:
    own, foreign = (asked(package, tmp_path, colour) for colour in (OWN, FOREIGN))
    assert sum(bool(one.unlike) for one in own) <= 1
    assert all("colour" in one.unlike for one in foreign)
    assert max(one.p_value or 1 for one in foreign) <= 0.01
    assert min(one.distance or 0 for one in foreign) > 1
    assert max(one.distance or 0 for one in own) < min(one.distance or 0 for one in foreign)


def test_without_statistics_nothing_is_said(stub_package: ModelPackage) -> None:
    familiarity = Familiarity(stub_package, FakePredictor(patch_px=SIDE))
    assert not familiarity.known
    assert familiarity.compare([square(1)], np.zeros(1, np.float32)) == [None]


@pytest.mark.parametrize(
    ("unlike", "compared", "words"),
    [
        (1, 1, "1 of 1 image is"),
        (1, 80, "1 of 80 images is"),
        (1_200, 12_000, "1,200 of 12,000 images are"),
    ],
)
def test_the_count_is_a_sentence(unlike: int, compared: int, words: str) -> None:
    assert unlike_in_words(unlike, compared) == f"{words} unlike the training images"
