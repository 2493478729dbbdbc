"""What is known of slides after a process has crashed."""

import os
import signal
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from wsi_pipeline.run.journal import Evidence, FileJournal

A, B, C = (Path(f"/slides/{name}.svs") for name in "abc")
HOW = "crashed the program (SIGSEGV)"


def test_slides_under_way_in_a_crash_are_suspects() -> None:
    found = Evidence().after(HOW, frozenset({A, B}), frozenset({C}))
    assert found == Evidence(frozenset({A, B}))


def test_a_suspect_that_crashes_alone_is_to_blame() -> None:
    first = Evidence().after(HOW, frozenset({A, B}), frozenset())
    second = first.after(HOW, frozenset({B}), frozenset({A}))
    assert second == Evidence(frozenset(), {B: HOW})


def test_one_crash_alone_is_not_enough() -> None:
    first = Evidence().after(HOW, frozenset({A}), frozenset())
    assert first == Evidence(frozenset({A}))
    assert first.after(HOW, frozenset({A}), frozenset()).blamed == {A: HOW}


def test_a_suspect_that_ends_is_none_any_more() -> None:
    first = Evidence().after(HOW, frozenset({A, B}), frozenset())
    assert first.after(HOW, frozenset({B, C}), frozenset({A})).suspects == {B, C}


@given(st.sets(st.integers(0, 9)))
def test_every_slide_ends_and_only_the_guilty_fail(guilty: set[int]) -> None:
    """Slides go through two at a time, suspects alone; the guilty ones always crash."""
    slides = [Path(str(number)) for number in range(10)]
    evidence, through = Evidence(), set[Path]()
    for _ in range(3 * len(slides) + 1):
        left = [one for one in slides if one not in through and one not in evidence.blamed]
        alone = [one for one in left if one in evidence.suspects]
        rounds = [[one] for one in alone]
        others = [one for one in left if one not in alone]
        rounds += [others[start : start + 2] for start in range(0, len(others), 2)]
        for together in rounds:
            if any(int(str(one)) in guilty for one in together):
                ended = frozenset(through)
                evidence = evidence.after(HOW, frozenset(together), ended)
                break
            through.update(together)
        else:
            break
    assert through == {one for one in slides if int(str(one)) not in guilty}
    assert set(evidence.blamed) == set(slides) - through


def test_another_process_reads_what_one_wrote_before_it_crashed() -> None:
    journal = FileJournal()
    odd = Path("/slides/line\nfeed \udcff.svs")
    for crashes in range(2):
        child = os.fork()
        if child == 0:
            try:
                if not journal.is_done(A):
                    journal.begins(A)
                    journal.ended(A, done=True)
                journal.begins(B)
                journal.ended(B, done=False)
                journal.begins(odd)
            finally:
                os.kill(os.getpid(), signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL
        assert journal.conclude(HOW) == {odd}
        assert journal.is_suspect(odd) == (crashes == 0)
        assert bool(journal.blame(odd)) == (crashes == 1)
        assert not journal.is_suspect(A)
        assert [journal.is_done(path) for path in (A, B, odd)] == [True, False, False]
    assert journal.blame(odd) == f"analysing it {HOW}, twice; the other slides go on"
    assert not journal.blame(A)
    journal.close()
