"""Clients tell errors apart by their types: the documentation lists every one."""

import re
from pathlib import Path

import workers
import wsi_pipeline
from api import problems
from api.problems import PROBLEMS, Kind
from wsi_pipeline.service.problem import KINDS

ROOT = Path(__file__).parents[3]
ROW = re.compile(r"^\| (?:(\d{3}) \| )?`([a-z-]+)` \|", re.MULTILINE)
KEPT = re.compile(r'"/problems/([a-z-]+)"')


def documented() -> tuple[list[tuple[int, str]], list[str]]:
    """Types that are answered, with their statuses, and those only kept with jobs."""
    rows = ROW.findall((ROOT / "docs" / "problems.md").read_text(encoding="utf-8"))
    answered = [(int(status), slug) for status, slug in rows if status]
    return answered, [slug for status, slug in rows if not status]


def kinds() -> set[Kind]:
    named = {value for value in vars(problems).values() if isinstance(value, Kind)}
    return named | {kind for _, kind in PROBLEMS}


def test_the_documentation_lists_every_type_once_and_no_other() -> None:
    answered, _ = documented()
    assert sorted(answered) == sorted((kind.status, kind.slug) for kind in kinds())
    assert answered == sorted(answered, key=lambda row: row[0]), "in the order of the statuses"


def test_types_of_failed_jobs_are_documented_too() -> None:
    answered, kept = documented()
    sources = [
        path.read_text(encoding="utf-8")
        for package in (workers, wsi_pipeline)
        for folder in package.__path__
        for path in Path(folder).rglob("*.py")
    ]
    made = {slug for source in sources for slug in KEPT.findall(source)}
    assert made == {"crashed", "worker-lost"}
    assert made == set(kept)
    assert {(status, slug) for _, status, slug, _ in KINDS} <= set(answered)


def test_both_tables_say_the_same_of_an_error() -> None:
    """Workers must not import the API, so there are two."""
    answered = dict(PROBLEMS)
    for of, status, slug, title in KINDS:
        assert answered[of] == Kind(status, slug, title)
