"""Artefacts are asked for by kind, variant and strength."""

import pytest

from wsi_pipeline.errors import UsageError
from wsi_pipeline.synth.wanted import KINDS, Wanted, parse_artefacts


def test_lists_are_read() -> None:
    found = parse_artefacts(["pen:black:0.8, blur:3um", "fold", "gap:black:40µm,pen:green:opaque"])
    assert found == (
        Wanted("pen", "black", 0.8),
        Wanted("blur", "", 3.0),
        Wanted("fold", "", 110.0),
        Wanted("gap", "black", 40.0),
        Wanted("pen", "green", 1.0, opaque=True),
    )
    assert parse_artefacts([",".join(map(str, found))]) == found


def test_all_has_every_kind_and_variant() -> None:
    found = parse_artefacts(["all"])
    assert {one.kind for one in found} == set(KINDS)
    assert {one.variant for one in found if one.kind == "pen"} == set(KINDS["pen"].variants)
    assert parse_artefacts([str(one) for one in found]) == found


@pytest.mark.parametrize(
    "text",
    ["ink", "pen:purple", "pen:blue:2", "blur:0um", "blur:x", "gap:white:3:4", "fold:opaque"],
)
def test_nonsense_is_refused_with_what_is_right(text: str) -> None:
    with pytest.raises(UsageError, match=r"choose|write"):
        parse_artefacts([text])
