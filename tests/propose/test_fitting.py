"""Which candidates are measured, which fit, and in which order they stand: no real file needed."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from edgekd.config.budget import BudgetSettings, LatencyBudget
from edgekd.config.data import DigitsData
from edgekd.data.sources import load_source
from edgekd.errors import StageError
from edgekd.propose.candidates import COPY, Candidate, Family, TooSmall, zoo_families
from edgekd.propose.fitting import Outcome, best_of_families, propose, survey
from edgekd.propose.measure import Measured, misses

BUDGET = BudgetSettings(size=40_000, latency=(LatencyBudget(p50=2000.0),))


def family(name: str, parameters: list[int], work: int = 100) -> Family:
    members = tuple(Candidate(name, width / 10) for width in range(1, len(parameters) + 1))
    macs = tuple(size * work for size in parameters)
    return Family(name, members, tuple(parameters), macs, lambda _: None)  # type: ignore[arg-type]


class Bench:
    """A made-up device: a byte a parameter and some more, a time by the work."""

    def __init__(self, overhead: int = 5000, macs_per_us: float = 1000.0) -> None:
        self.overhead, self.speed = overhead, macs_per_us
        self.asked: list[Candidate] = []

    def __call__(self, candidate: Candidate, of: Family) -> Measured:
        self.asked.append(candidate)
        place = of.members.index(candidate)
        size, work = of.parameters[place], of.macs[place]
        p50 = work / self.speed
        latency = ((BUDGET.latency[0], p50, p50 * 1.1),)
        return Measured(candidate, size, work, size + self.overhead, latency, 1.0, 1.0)


@given(
    parameters=st.lists(st.integers(100, 100_000), min_size=1, max_size=8, unique=True).map(sorted),
    overhead=st.integers(0, 30_000),
    speed=st.floats(100, 10_000),
)
def test_the_walk_finds_the_largest_that_fits(parameters, overhead, speed):
    bench, one = Bench(overhead, speed), family("net", parameters)
    # the weights alone put a family out without a measurement; that is another test
    outcomes, left = propose([one], BUDGET, bench, lambda _: True)
    assert left == []
    fitting = [
        place
        for place, size in enumerate(parameters)
        if size + overhead <= 40_000 and size * 100 / speed <= 2000
    ]
    found = [one.members.index(o.candidate) for o in outcomes if o.fits]
    assert max(found, default=None) == (max(fitting) if fitting else None)
    assert len(set(bench.asked)) == len(bench.asked)
    assert len(bench.asked) <= len(parameters)


def test_families_are_ranked_by_their_work():
    light, heavy = family("light", [10_000, 30_000], 20), family("heavy", [10_000, 30_000], 60)
    outcomes, left = propose([light, heavy], BUDGET, Bench(), lambda _: True)
    best = best_of_families(outcomes)
    assert [(m.candidate.family, m.parameters) for m in best] == [
        ("heavy", 30_000),
        ("light", 30_000),
    ]
    assert left == []


def test_weights_that_are_too_many_are_not_measured():
    bench = Bench()
    outcomes, _ = propose(
        [family("large", [90_000, 99_000]), family("net", [10_000], 10)],
        BUDGET,
        bench,
        lambda _: True,
    )
    assert {candidate.family for candidate in bench.asked} == {"net"}
    assert outcomes[-1].reasons == ("weights of 90,000 bytes and more",)


def test_what_is_out_says_why():
    outcomes, _ = propose([family("net", [60_000])], BUDGET, Bench(), lambda _: True)
    (outcome,) = outcomes
    assert not outcome.fits
    assert outcome.reasons == (
        "65.0 kB, limit 40 kB",
        "p50 6.000 ms, limit 2 ms on local",
    )


def test_a_network_that_cannot_be_exported_is_out_and_the_rest_goes_on():
    def measure(candidate: Candidate, of: Family) -> Measured:
        if of.name == COPY:
            raise StageError("TFLite has no such operator.")
        return Bench()(candidate, of)

    families = [family(COPY, [20_000]), family("net", [10_000], 10)]
    outcomes, _ = propose(families, BUDGET, measure, lambda _: True)
    assert [o.fits for o in outcomes] == [True, False]
    assert outcomes[1].reasons == ("TFLite has no such operator.",)


def test_measuring_ends_with_its_time_and_tells_what_is_left():
    bench = Bench()
    families = [family("first", [10_000, 20_000], 90), family("second", [10_000], 10)]
    outcomes, left = propose(families, BUDGET, bench, lambda _: False)
    assert [o.candidate.family for o in outcomes] == ["first"]
    assert left == ["second"]


def test_families_take_turns_and_copies_are_first():
    bench, told = Bench(overhead=0, macs_per_us=300.0), []
    sizes = [1000, 2000, 4000, 8000, 16_000, 32_000]
    families = [family("light", sizes, 50), family("heavy", sizes, 90), family(COPY, sizes, 40)]
    propose(families, BUDGET, bench, lambda _: True, told.append)
    assert [candidate.family for candidate in bench.asked[:3]] == [COPY, "heavy", "light"]
    assert [outcome.candidate for outcome in told] == bench.asked


def test_a_copy_that_cannot_be_pruned_so_far_is_followed_by_larger_ones():
    def measure(candidate: Candidate, of: Family) -> Measured:
        if of.members.index(candidate) < 2:
            raise TooSmall("Pruning does not get as far.")
        return Bench(overhead=35_000)(candidate, of)

    copies = family(COPY, [1000, 2000, 3000, 4000, 5500, 90_000], 10)
    outcomes, _ = propose([copies], BUDGET, measure, lambda _: True)
    best = best_of_families(outcomes)
    assert [m.parameters for m in best] == [4000]


def test_when_the_time_is_over_and_nothing_fits_the_smallest_has_a_last_chance():
    bench = Bench(overhead=30_000)
    one = family("one", [5000, 20_000, 30_000], 20)
    other = family("other", [4000, 25_000, 36_000], 10)
    outcomes, left = propose([one, other], BUDGET, bench, lambda _: False)
    assert [(c.family, one.members.index(Candidate("one", c.size))) for c in bench.asked] == [
        ("one", 2),
        ("other", 0),
    ]
    assert [o.fits for o in outcomes] == [True, False]
    assert left == ["one"]


def test_without_a_limit_of_time_none_is_missed():
    measured = Bench()(Candidate("net", 0.1), family("net", [10_000], 10**6))
    assert misses(measured, BudgetSettings(size=40_000)) == []
    assert misses(measured, BUDGET) != []


def test_the_zoo_has_families_for_pictures_and_none_is_an_mlp():
    families = zoo_families(load_source(DigitsData(), Path.cwd()), Path.cwd())
    assert {"resnet8", "dscnn"} <= {found.name for found in families}
    assert "mlp" not in {found.name for found in families}
    for found in families:
        assert list(found.parameters) == sorted(set(found.parameters))


def test_a_survey_measures_all_but_those_with_too_many_weights():
    bench = Bench(overhead=5000, macs_per_us=10_000.0)
    families = [family("a", [1000, 30_000, 40_000, 60_000]), family("b", [50_000, 90_000])]
    told: list[Outcome] = []
    outcomes = survey(families, BUDGET, bench, told.append)
    assert [bench_of.size for bench_of in bench.asked] == [0.1, 0.2, 0.3]
    assert [o.candidate.size for o in outcomes if o.fits] == [0.2, 0.1]
    heavy = {(o.candidate.family, o.candidate.size) for o in outcomes if o.by_weights}
    assert heavy == {("a", 0.4), ("b", 0.1)}
    assert len(told) == 4
