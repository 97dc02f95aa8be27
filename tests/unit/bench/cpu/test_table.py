"""The tables of a report on a CPU and its JSON, on made-up samples."""

import json
from dataclasses import replace

import pytest
from distilforge.timing.rounds import Timing
from distilforge.timing.shape import Shape

from bench.build_cost import BuildCost, BuilderCosts
from bench.cpu import record, table
from bench.cpu.report import Report
from bench.tables.contest_table import refusals
from tests.timing_subjects import measurement, steady
from tests.unit.bench.contests import contest

SHAPES = (Shape(batch=1, tokens=16), Shape(batch=2, tokens=8))


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.split("|")[1:-1]]


def test_a_refused_shape_has_a_dash_and_a_footnote() -> None:
    small, large = SHAPES
    timing = Timing(
        measurements=(
            measurement("one", small, ((0.001,),) * 6),
            measurement("one", large, ((0.004,),) * 6),
            measurement("two", small, ((0.002,),) * 6),
        ),
        steadiness=steady(6),
        refusals={("two", large): "ValueError: too large"},
    )
    lines = table.median_table(timing, ["one", "two"]).splitlines()
    assert cells(lines[2]) == ["one", "1.00", "4.00", "2.00"]
    assert cells(lines[3]) == ["two", "2.00", "-", "-"]
    assert refusals(timing)[0].endswith("- two at 2x8: ValueError: too large")


@pytest.mark.parametrize(
    ("trips", "apart", "text"),
    [
        (None, tuple(range(6, 12)), "Not measured."),
        ((180.0, 400.0), tuple(range(6, 12)), "6 of 12 rounds"),
        ((180.0, 400.0), (11,), "too few"),
        ((180.0, 400.0), (), "all rounds"),
        ((180.0, 200.0), (), "never were"),
    ],
)
def test_the_rounds_that_are_left_out_have_a_table_of_their_own(
    trips: tuple[float, float] | None, apart: tuple[int, ...], text: str
) -> None:
    rounds = (*((0.001,),) * 6, *((0.003,),) * 6)
    steadiness = replace(steady(12, apart=apart), round_trip_nanoseconds=trips)
    timing = Timing(measurements=(measurement("one", SHAPES[0], rounds),), steadiness=steadiness)
    shown = table.apart_table(timing, ["one"])
    assert text in shown
    # Six rounds are the fewest that have an interval
    assert ("3.00" in shown) == (text == "6 of 12 rounds")


def test_the_table_shows_the_range_of_builds_and_the_record_every_build() -> None:
    costs = [(5.0, 7_000_000), (1.0, 9_000_000), (2.0, 8_000_000)]
    builds = BuilderCosts(costs=tuple(BuildCost(seconds=seconds, peak_bytes=peak) for seconds, peak in costs))
    report = Report(
        contest=contest(Timing(measurements=(), steadiness=steady(0)), (), candidates=()),
        shares=None,
        builds={"ours": builds},
        int8_bytes=None,
        limits=(),
    )
    assert "| ours | 3      | 2.0 (1.0 to 5.0)        | 9       |" in table.markdown(report)
    values = json.loads(record.to_json(report))
    assert values["builds"]["ours"] == {
        "seconds": [5.0, 1.0, 2.0],
        "peak_bytes": [7_000_000, 9_000_000, 8_000_000],
    }
