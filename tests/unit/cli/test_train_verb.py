"""``wsi train`` tells what is wrong in one line, before anything heavy is loaded."""

import sys

import pytest

from wsi_pipeline.cli import main


@pytest.mark.parametrize(
    ("arguments", "code", "reason"),
    [
        ([], 2, "name the folder for the package"),
        (["-o", "x"], 2, "give a cohort table, or --images"),
        (["missing.csv", "-o", "x"], 2, "cannot be read"),
        (["missing.csv", "-o", "x", "--recipe", "resnet"], 2, "no recipe is called"),
        (["missing.csv", "-o", "x", "--mpp", "1", "--level", "2"], 2, "not both"),
        (["missing.csv", "-o", "x", "--level", "two"], 2, "write a level"),
        (["missing.csv", "-o", "x", "--threshold-by", "best"], 2, "is chosen by"),
        (["missing.csv", "-o", "x", "--folds", "1"], 2, "2 or more"),
        (["--images", "x", "-o", "x", "--folds", "3"], 2, "images have none"),
        (["missing.csv", "-o", "x", "--test-source", "far"], 2, "need --images"),
    ],
)
def test_wrong_usage_is_one_line(
    arguments: list[str],
    code: int,
    reason: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["wsi", "train", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    said = capsys.readouterr().err
    assert ended.value.code == code
    assert reason in said
    assert len(said.splitlines()) == 1


def test_recipes_are_listed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["wsi", "train", "--list"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == [
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
