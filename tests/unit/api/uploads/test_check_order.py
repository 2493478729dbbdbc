"""Whose slide is checked next."""

from api.uploads.check_order import SMALL_BYTES, CheckOrder
from wsi_pipeline.service.slides import Slide, SlideState

GIB = 2**30


def slide(name: str, uploader: str = "a", size: int = 2**20, at: float = 0.0) -> Slide:
    return Slide(
        id=name,
        workspace_id="lab",
        name=name,
        state=SlideState.CHECKING,
        problem=None,
        source="/spool/x",
        location=None,
        size_bytes=size,
        sha256=None,
        info=None,
        created_at=at,
        created_by=uploader,
    )


def begun(order: CheckOrder, waiting: list[Slide], running: list[Slide] | None = None) -> list[str]:
    """Names of the slides that begin one after the other, while none ends."""
    running, left = list(running or ()), list(waiting)
    names = []
    while (chosen := order.choose(left, running)) is not None:
        left.remove(chosen)
        running.append(chosen)
        names.append(chosen.name)
    return names


def sequence(order: CheckOrder, waiting: list[Slide]) -> list[str]:
    """Names in the order in which they begin where each ends before the next."""
    left, names = list(waiting), []
    while (chosen := order.choose(left, [])) is not None:
        left.remove(chosen)
        names.append(chosen.name)
    return names


def test_small_slides_come_first_but_no_large_one_waits_for_ever() -> None:
    waiting = [slide("large", size=2 * GIB), slide("small", at=5.0), slide("late", at=60.0)]
    assert sequence(CheckOrder(1), waiting) == ["small", "large", "late"]


def test_uploaders_take_turns() -> None:
    waiting = [slide(f"a{n}", "a", at=n) for n in range(50)]
    waiting += [slide("b0", "b", at=90.0), slide("b1", "b", at=91.0), slide("c0", "c", at=92.0)]
    assert sequence(CheckOrder(1), waiting)[:7] == ["a0", "b0", "c0", "a1", "b1", "a2", "a3"]


def test_places_are_bounded_and_one_uploader_leaves_one() -> None:
    of_one = [slide(f"a{n}", at=n) for n in range(9)]
    assert begun(CheckOrder(3), of_one) == ["a0", "a1"]
    assert begun(CheckOrder(3), [*of_one, slide("b", "b", at=50.0)]) == ["a0", "b", "a1"]
    assert begun(CheckOrder(1), of_one) == ["a0"]
    assert begun(CheckOrder(2), of_one) == ["a0"]


def test_large_slides_leave_a_place_to_small_ones_and_to_others() -> None:
    large = [slide(f"a{n}", "a", 9 * GIB, at=n) for n in range(5)]
    others = [slide(f"b{n}", "b", 9 * GIB, at=9.0) for n in range(5)]
    assert begun(CheckOrder(3), large) == ["a0"]
    assert begun(CheckOrder(3), large + others) == ["a0", "b0"]
    assert begun(CheckOrder(3), [*large, slide("small", "a", at=999.0)]) == ["a0", "small"]
    assert begun(CheckOrder(2), large + others) == ["a0"]
    assert begun(CheckOrder(2), [*others, slide("small", "a", at=99.0)], large[:1]) == []
    assert begun(CheckOrder(2), [slide("small", "b", at=99.0)], large[:1]) == ["small"]


def test_a_slide_of_unknown_size_is_small() -> None:
    assert begun(CheckOrder(2), [slide("x", size=0)], [slide("y", "b", SMALL_BYTES + 1)]) == ["x"]
