"""The documents: everything can be reached, links lead somewhere, pictures are small."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
_LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
_PAGES = sorted(path for path in (ROOT / "docs").rglob("*.md") if "_build" not in path.parts)


def linked(page: Path) -> set[Path]:
    """Files of the repository that a page links to."""
    links = (link for link in _LINK.findall(page.read_text(encoding="utf-8")) if "://" not in link)
    return {(page.parent / link).resolve() for link in links}


def test_the_readme_leads_to_every_document() -> None:
    decisions = ROOT / "docs" / "decisions"
    pages = {page for page in _PAGES if page.parent != decisions} | {decisions / "index.md"}
    assert pages | {ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"} <= linked(ROOT / "README.md")


def test_the_contents_list_every_page() -> None:
    listed = (ROOT / "docs" / "index.md").read_text(encoding="utf-8").split()
    assert {page.stem for page in _PAGES if page.parent == ROOT / "docs"} - {"index"} <= set(listed)


@pytest.mark.parametrize(
    "page", [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *_PAGES], ids=lambda page: page.name
)
def test_links_lead_to_files(page: Path) -> None:
    assert [str(path) for path in linked(page) if not path.exists()] == []


@pytest.mark.parametrize(
    "picture", sorted((ROOT / "docs" / "images").iterdir()), ids=lambda p: p.name
)
def test_pictures_are_small(picture: Path) -> None:
    assert picture.stat().st_size < 300_000
