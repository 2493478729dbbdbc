"""The notice of a model: as its package states it, or what an older one of drawings says."""

from wsi_pipeline.notice import SYNTHETIC, notice_of


def test_a_package_says_it_or_is_of_drawings_or_says_nothing() -> None:
    assert notice_of("Research preview", synthetic=False) == "Research preview"
    assert notice_of("Drawings of mucin", synthetic=True) == "Drawings of mucin"
    assert notice_of("", synthetic=True) == SYNTHETIC
    assert notice_of("", synthetic=False) == ""
