"""Recipes say all that is trained; what makes no sense is said before anything runs."""

from pathlib import Path

import pytest

from wsi_pipeline.errors import UsageError
from wsi_pipeline.training.recipe import load_recipe
from wsi_pipeline.training.recipe_file import shipped


def test_the_recipes_of_the_documentation_are_shipped() -> None:
    assert shipped() == [
        "abmil",
        "baseline-forest",
        "baseline-logistic",
        "baseline-neighbours",
        "baseline-svm",
        "blood-cells-two-stage",
        "blood-cells-vgg16-svm",
        "blood-cells-vgg19",
        "blood-cells-vit",
        "camelyon-baseline",
        "camelyon-inception-v3",
        "camelyon-vgg16",
        "clam-sb",
        "colorectal-mobilenet",
        "leukaemia-cnn",
        "leukaemia-transfer",
        "linear-probe",
        "mean-pool",
        "transmil",
    ]


def test_the_main_recipe_is_the_published_one() -> None:
    recipe = load_recipe("camelyon-inception-v3")
    assert recipe.architecture.model_dump() == {
        "name": "inception_v3",
        "pooling": "max",
        "dropout": 0.5,
    }
    assert (recipe.init, recipe.patch_px, recipe.epochs, recipe.batch) == ("imagenet", 299, 10, 32)
    optimiser = recipe.optimiser
    assert (optimiser.name, optimiser.learning_rate, optimiser.alpha) == ("rmsprop", 1e-4, 0.95)
    colours = recipe.augmentation
    assert colours.brightness == pytest.approx(64 / 255, abs=1e-4)
    assert (colours.saturation, colours.hue, colours.contrast) == (0.25, 0.04, 0.75)
    assert (recipe.labels.rule, recipe.labels.central_px) == ("central", 128)


def test_changes_reach_what_they_name() -> None:
    recipe = load_recipe(
        "camelyon-baseline",
        ["epochs=3", "optimiser.learning_rate=1e-5", "labels.rule=any", "selection.patience=null"],
        levels=(3, 4, 5),
        init=None,
    )
    assert (recipe.epochs, recipe.optimiser.learning_rate) == (3, 1e-5)
    assert (recipe.labels.rule, recipe.selection.patience) == ("any", None)
    assert (recipe.mpp, recipe.levels, recipe.init) == (None, (3, 4, 5), "random")


def test_a_resolution_replaces_levels(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("name: mine\narchitecture: {name: vgg16}\nlevels: [1]\n")
    assert load_recipe(str(file)).levels == (1,)
    assert load_recipe(str(file), mpp=0.5).levels == ()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (["epochs"], "KEY=VALUE"),
        (["epochs=none"], "epochs"),
        (["epoch=3"], "epoch"),
        (["epochs.more=3"], "has no parts"),
        (["labels.central_px=400"], "larger than the patch"),
        (["sampling.stride=300"], "tissue would be left out"),
        (["patch_px=64", "labels.central_px=32", "sampling.stride=32"], "at least 75"),
        (["threshold=best"], "recall=R, youden or fpr=F"),
        (["levels=[1]"], "one of them"),
        (["augmentation.hue=[1"], "not YAML"),
    ],
)
def test_what_makes_no_sense_is_refused(changes: list[str], reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        load_recipe("camelyon-inception-v3", changes)


def test_an_unknown_recipe_names_the_known(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="camelyon-vgg16"):
        load_recipe("resnet")
    with pytest.raises(UsageError, match="cannot be read"):
        load_recipe(str(tmp_path / "missing.yaml"))


def test_names_do_not_change_what_is_trained_and_settings_do() -> None:
    recipe = load_recipe("linear-probe")
    assert load_recipe("linear-probe", ["about=another"]).fingerprint == recipe.fingerprint
    assert load_recipe("linear-probe", ["batch=8"]).fingerprint != recipe.fingerprint
