"""The tables of a report on a GPU, on made-up samples."""

import json
from dataclasses import replace

import pytest

from bench.gpu import record, table
from bench.gpu.report import EAGER, LARGE, SDPA, SMALL
from tests.timing_subjects import steady
from tests.unit.bench.gpu.reports import ENGINE, ROUNDS, TINY, report

# Medians of 20 rounds with a noise of a thousandth
NOISE = 0.01


def cells(text: str, first: str) -> list[str]:
    """The first row of a table that begins with these cells."""
    line = next(line for line in text.splitlines() if line.replace(" ", "").startswith(first))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_the_documented_table_has_the_definitions_of_the_documentation() -> None:
    row = cells(table.documented_table(report()), "|2|64|")
    # 2.048 ms over 64 tokens of a text
    assert float(row[2]) == pytest.approx(0.032, rel=NOISE)
    assert float(row[3]) == pytest.approx(0.025, rel=NOISE)
    assert float(row[4]) == pytest.approx(28.0, abs=1.0)
    assert row[5:] == ["150.0", "100.0", "50.0"]


def test_times_of_a_batch_and_of_a_token() -> None:
    contest = report().contest
    of_batch = cells(table.time_table(contest, per_token=False), "|32|128|")[2:]
    assert [float(cell) for cell in of_batch] == pytest.approx([3.0, 2.0, 0.8], rel=NOISE)
    of_token = cells(table.time_table(contest, per_token=True), "|32|128|")
    # The cell has two digits that are not zero
    assert float(of_token[2]) == pytest.approx(3.0 / 4096, rel=2 * NOISE)


def test_ratios_stand_beside_their_intervals() -> None:
    contest = report().contest
    ratios = contest.ratios[EAGER]
    assert [ratio.shape for ratio in ratios] == [SMALL, TINY, LARGE, None]
    interval = ratios[0].estimate.interval
    assert interval is not None
    assert interval[0] <= ratios[0].value <= interval[1]
    assert ratios[0].value == pytest.approx(4.0, rel=NOISE)
    assert "(" in cells(table.ratio_table(contest), "|mean|")[2]


def test_operations_are_compared_with_the_ceiling() -> None:
    assert "the 358 GFLOP of 32x128 take 0.447 ms" in table.operation_table(report().contest)


def test_without_an_engine_nothing_is_judged() -> None:
    text = table.markdown(report((EAGER, SDPA)))
    assert "No variant of this project could be run." in text
    assert "not measured" in text


def test_a_column_that_is_left_out_has_its_reason() -> None:
    text = table.markdown(report())
    assert "- TensorRT-RTX: not installed: tensorrt-rtx" in text
    assert "largest difference from eager: 2.0e-03" in text
    assert "Left out: it needs the columns eager and SDPA." in table.markdown(report((EAGER, ENGINE)))


def test_a_shape_that_a_column_refuses_has_dashes_and_the_reason_below() -> None:
    text = table.markdown(report(refusal=(SDPA, TINY, "OutOfMemoryError: 80 GiB")))
    assert "- SDPA at 2x64: OutOfMemoryError: 80 GiB" in text
    documented = cells(text, "|2|64|")
    assert [documented[place] for place in (3, 4, 6, 7)] == ["-"] * 4
    assert documented[2] != "-"
    # A mean over fewer shapes could not be compared with the others
    assert cells(text, "|mean|")[3] == "-"


def test_memory_that_was_left_out_is_said_to_be() -> None:
    text = table.markdown(replace(report(), memory={}))
    assert "left out with --without-memory" in text
    assert cells(text, "|2|64|")[5:] == ["-"] * 3
    assert "left out with --without-memory" not in table.markdown(report())


def test_the_table_and_the_json_say_whether_the_timing_was_steady() -> None:
    quiet = report()
    unsteady = replace(
        steady(ROUNDS), steady=False, reasons=("other processes took 2 cores",), others_cores=2.0
    )
    timing = replace(quiet.contest.timing, steadiness=unsteady)
    busy = replace(quiet, contest=replace(quiet.contest, timing=timing))
    assert "The timing was steady over 20 rounds." in table.markdown(quiet)
    text = table.markdown(busy)
    assert "The timing was not steady" in text
    assert "other processes took 2 cores." in text
    assert "cores that other processes used, on average: 2.00" in text
    assert json.loads(record.to_json(busy))["steadiness"]["reasons"] == ["other processes took 2 cores"]
