"""The worker's second lane, but for its process, which acceptance tests start and kill."""

from workers.answerer import fit_for_a_turn


def test_a_batch_takes_about_a_second() -> None:
    assert fit_for_a_turn(16, 0.5) == 32
    assert fit_for_a_turn(16, 8.0) == 4, "the first one loads the model"
    assert fit_for_a_turn(32, 0.1) == 64
    # A fixed part of 0.2 s and 40 a second: it settles where a batch takes its second.
    count = 4
    for _ in range(20):
        count = fit_for_a_turn(count, 0.2 + count / 40)
    assert 30 <= count <= 34
