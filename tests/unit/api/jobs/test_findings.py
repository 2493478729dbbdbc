"""What lists show of results, also of those that were kept by earlier versions."""

from api.jobs.findings import JobFindings
from wsi_pipeline.notice import SYNTHETIC

KEPT = {
    "slide_score": 0.9,
    "threshold": 0.5,
    "tumour_area_mm2": 1.5,
    "tumour_percent": 3.0,
    "regions": 2,
    "alarms": [],
}


def test_what_was_kept_before_notices_is_shown() -> None:
    drawn = JobFindings.of({**KEPT, "provenance": {"model": {"synthetic": True}}})
    real = JobFindings.of({**KEPT, "provenance": {"model": {"synthetic": False}}})
    now = JobFindings.of({**KEPT, "notice": "Research preview"})
    assert drawn is not None
    assert real is not None
    assert now is not None
    assert (drawn.notice, real.notice, now.notice) == (SYNTHETIC, "", "Research preview")


def test_what_was_kept_before_exports_does_not_say_what_it_can_be() -> None:
    old, now = JobFindings.of(KEPT), JobFindings.of({**KEPT, "exports": ["zip"]})
    assert old is not None
    assert now is not None
    assert (old.exports, now.exports) == (None, ["zip"])


def test_nothing_is_made_up() -> None:
    assert JobFindings.of({"slide_score": 0.9}) is None
