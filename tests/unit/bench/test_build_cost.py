"""Builds in turns, and what is said of several, on made-up costs."""

import json

import pytest
from distilforge.timing.rounds import Timing

from bench import record, table
from bench.build_cost import BuildError, Builds, Cost, measure_in_turns
from bench.report import Report
from bench.run import OPTIMUM, _wanted_of_builds
from tests.timing_subjects import steady


def builds(*costs: tuple[float, int]) -> Builds:
    return Builds(costs=tuple(Cost(seconds=seconds, peak_bytes=peak) for seconds, peak in costs))


def test_the_time_of_builds_is_the_median_and_their_memory_the_largest() -> None:
    found = builds((5.0, 7), (1.0, 9), (2.0, 8))
    assert (found.seconds, found.peak_bytes) == (2.0, 9)


def test_builds_are_compared_by_their_medians() -> None:
    found = {"ours": builds((1.0, 1), (9.0, 1), (2.0, 1)), OPTIMUM: builds((4.0, 1), (3.0, 1), (90.0, 1))}
    assert _wanted_of_builds(None, found, None)[-1].observed == pytest.approx(50.0)


def test_the_table_shows_the_range_and_the_record_every_build() -> None:
    report = Report(
        conditions={},
        settings={},
        timing=Timing(measurements=(), steadiness=steady(0)),
        differences={},
        absent=(),
        ours=None,
        against={},
        ceiling=1.0,
        share=None,
        builds={"ours": builds((5.0, 7_000_000), (1.0, 9_000_000), (2.0, 8_000_000))},
        int8_bytes=None,
        wanted=(),
    )
    assert "| ours | 3      | 2.0 (1.0 to 5.0)        | 9       |" in table.builds(report)
    kept = json.loads(record.to_json(report))["builds"]["ours"]
    assert kept == {"seconds": [5.0, 1.0, 2.0], "peak_bytes": [7_000_000, 9_000_000, 8_000_000]}


def test_builders_take_turns_and_each_round_begins_with_another() -> None:
    made: list[str] = []

    def build(which: str) -> Cost:
        made.append(which)
        return Cost(seconds=len(made), peak_bytes=1)

    found, failed = measure_in_turns(("ours", "theirs"), build, rounds=3)
    assert made == ["ours", "theirs", "theirs", "ours", "ours", "theirs"]
    assert [cost.seconds for cost in found["theirs"].costs] == [2, 3, 6]
    assert failed == {}


@pytest.mark.parametrize("sound", [0, 1])
def test_a_builder_that_fails_is_not_built_again_and_counts_for_nothing(sound: int) -> None:
    made: list[str] = []

    def build(which: str) -> Cost:
        if which == "theirs" and made.count("theirs") == sound:
            raise BuildError("no room")
        made.append(which)
        return Cost(seconds=1, peak_bytes=1)

    found, failed = measure_in_turns(("ours", "theirs"), build, rounds=3)
    assert made.count("ours") == 3
    assert made.count("theirs") == sound
    assert set(found) == {"ours"}
    assert str(failed["theirs"]) == "no room"
