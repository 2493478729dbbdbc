"""The card: everything of the description, complete in itself, nothing taken for markup."""

from html.parser import HTMLParser
from pathlib import Path

from wsi_pipeline.model.card import card
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.testing import make_stub_package


class _Page(HTMLParser):
    """Text, tags and what they point to; complains of tags that are not closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.text: list[str] = []
        self.tags: list[str] = []
        self.links: list[str] = []
        self._open: list[str] = []
        self.feed(page)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for key, value in attrs if key in ("src", "href")]
        if tag not in ("meta", "img"):
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_the_card_says_what_the_description_says(stub_package: ModelPackage) -> None:
    about = stub_package.description
    page = _Page(card(stub_package))
    text = " ".join(" ".join(page.text).split())
    for said in (
        about.name,
        about.version,
        about.intended_use,
        about.licence,
        about.threshold.chosen,
        about.calibration.fitted,
        about.training.data,
        about.architecture.name,
        stub_package.sha256,
        *about.files.values(),
        "64 × 64 px RGB at 0.5 µm per px",
        "Trained on synthetic tissue",
        "not a medical device",
    ):
        assert said in text, said
    assert "script" not in page.tags
    assert page.links
    assert all(link.startswith("data:image/jpeg;base64,") for link in page.links)


def test_a_card_shows_the_package_s_own_notice(tmp_path: Path) -> None:
    notice = "Research preview, fitted on 4,057 patches"
    training = {"data": "patches", "synthetic": False}
    package = make_stub_package(tmp_path / "p", notice=notice, training=training)
    said = "".join(_Page(card(package)).text)
    assert f"{notice}." in said
    assert "drawings" not in said


def test_words_of_others_are_only_words(tmp_path: Path) -> None:
    package = make_stub_package(
        tmp_path / "p",
        level=1,
        intended_use="<script>alert(1)</script> & more",
        training={
            "data": '"><img src=x>',
            "synthetic": False,
            "metrics": {"slide_auc<b>": 0.98765},
        },
    )
    text = card(package)
    page = _Page(text)
    assert "script" not in page.tags
    assert "<script>alert(1)</script> & more" in "".join(page.text)
    assert '"><img src=x>' in "".join(page.text)
    assert "slide auc<b>" in "".join(page.text)
    assert "0.9877" in text
    assert "pyramid level 1" in text
    assert "synthetic tissue" not in text


def test_a_card_of_several_classes(kinds_package: ModelPackage) -> None:
    said = "".join(_Page(card(kinds_package)).text)
    for words in (
        "normal, tumour, necrosis, mucin",
        "multiclass, head softmax",
        "none: a cell has its most likely class",
        "with their probabilities of tumour",
    ):
        assert words in said, words
