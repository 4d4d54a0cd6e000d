"""Which trainings end early."""

from __future__ import annotations

from edgekd.sweep.halving import Curve, at_epoch, is_behind


def curve(*scores: float, epochs: int = 9, costs: tuple[float, ...] = (10.0,)) -> Curve:
    return Curve(scores, epochs, costs)


def test_rungs_are_a_ninth_and_a_third_of_the_epochs() -> None:
    assert [at_epoch(share, 9) for share in (1 / 9, 1 / 3)] == [1, 3]
    assert [at_epoch(share, 60) for share in (1 / 9, 1 / 3)] == [7, 20]
    assert at_epoch(1 / 9, 2) == 1


def test_the_best_third_goes_on() -> None:
    others = [curve(0.1 * k) for k in range(1, 6)]  # 0.1 to 0.5, and the one that is asked about
    assert not is_behind(curve(0.6), others)
    assert not is_behind(curve(0.45), others)  # second of 6
    assert is_behind(curve(0.35), others)  # third of 6


def test_equal_scores_go_on() -> None:
    assert not is_behind(curve(0.5), [curve(0.5)] * 8)


def test_nobody_ends_before_enough_came_so_far() -> None:
    assert not is_behind(curve(0.1), [curve(0.9)])
    assert is_behind(curve(0.1), [curve(0.9), curve(0.8)])
    late = Curve((0.9, 0.9), 9, (10.0,))
    assert not is_behind(curve(0.1, 0.1, 0.1), [late] * 8)  # none has come to the second rung


def test_a_small_network_is_not_compared_with_larger_ones() -> None:
    large = [curve(0.9, costs=(50.0,))] * 8
    assert not is_behind(curve(0.1, costs=(10.0,)), large)
    assert is_behind(curve(0.1, costs=(50.0,)), large)


def test_what_is_cheaper_in_one_thing_alone_is_no_rival() -> None:
    faster_but_larger = [curve(0.9, costs=(50.0, 1.0))] * 8
    assert not is_behind(curve(0.1, costs=(10.0, 5.0)), faster_but_larger)


def test_only_rungs_are_judged_and_the_last_epoch_is_none() -> None:
    others = [curve(*[0.9] * 9)] * 8
    assert is_behind(curve(0.1), others)
    assert not is_behind(curve(0.1, 0.1), others)
    assert is_behind(curve(0.1, 0.1, 0.1), others)
    assert not is_behind(Curve((0.1,), 1, (10.0,)), [Curve((0.9,), 1, (10.0,))] * 8)


def test_trainings_of_other_lengths_are_compared_at_the_same_share() -> None:
    long = [Curve((0.1, 0.2, 0.9), 27, (10.0,))] * 8
    assert is_behind(curve(0.5), long)  # a ninth of 27 is 3 epochs: 0.9
    assert not is_behind(curve(0.95), long)
