"""Work done ahead is the same work, and ends when nobody wants it."""

from __future__ import annotations

import threading

import pytest

from edgekd.train.prefetch import prefetched


def alive() -> int:
    return sum(thread.name == "edgekd-prefetch" for thread in threading.enumerate())


def test_items_come_in_their_order_and_are_made_by_another_thread() -> None:
    makers = []

    def items():
        for number in range(50):
            makers.append(threading.current_thread().name)
            yield number

    assert list(prefetched(items())) == list(range(50))
    assert set(makers) == {"edgekd-prefetch"} and alive() == 0
    assert list(prefetched([])) == []


def test_the_next_items_are_made_while_one_is_used_and_no_more() -> None:
    made, third = [], threading.Event()

    def items():
        for number in range(10):
            made.append(number)
            if number == 3:
                third.set()
            yield number

    numbers = prefetched(items(), ahead=2)
    assert next(numbers) == 0
    assert third.wait(10), "one in hand, two ready, and one that waits for room"
    assert made == [0, 1, 2, 3]
    numbers.close()
    assert alive() == 0


def test_errors_come_where_they_would_have_come() -> None:
    def items():
        yield 1
        yield 2
        raise ValueError("no third")

    numbers = prefetched(items())
    assert [next(numbers), next(numbers)] == [1, 2]
    with pytest.raises(ValueError, match="no third"):
        next(numbers)
    assert alive() == 0


def test_a_loop_that_is_left_ends_the_thread() -> None:
    for number in (numbers := prefetched(iter(range(1000)))):
        if number == 3:
            break
    numbers.close()
    assert alive() == 0
