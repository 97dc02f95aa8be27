"""The tables and limits of texts a second, of made-up times."""

import json
from dataclasses import replace

import pytest
from distilforge.timing.rounds import Timing
from distilforge.timing.shape import Shape

from bench.contest.rows import Omission
from bench.texts.batches import Order
from bench.texts.limits import limits, seconds_per_token
from bench.texts.record import to_json
from bench.texts.run import BASE, TextReport, Throughput
from bench.texts.table import head_table, length_table, markdown
from tests.timing_subjects import measurement, steady

SHAPE = Shape(batch=100, tokens=60)
OURS, RIVAL = "distilforge INT8", "OpenVINO INT8"
IN_BASE_SIZES = f"{OURS}, {BASE}"


def timing(seconds: dict[tuple[str, Shape], float]) -> Timing:
    return Timing(
        measurements=tuple(
            measurement(name, shape, tuple((value,) for _ in range(20)))
            for (name, shape), value in seconds.items()
        ),
        steadiness=steady(20),
    )


def throughput(seconds: dict[tuple[str, Order], float]) -> Throughput:
    names = {f"{row}, {order}": (row, order) for row, order in seconds}
    return Throughput(
        head="features",
        shape=SHAPE,
        tokens=2000,
        slots={"session": 2050, "arrival": 5000, "sorted": 2100, "single": 2000},
        names={**names, "dead, sorted": ("dead", "sorted")},
        timing=timing({(f"{row}, {order}", SHAPE): value for (row, order), value in seconds.items()}),
        omissions=(Omission(name="dead, sorted", reason="it died"),),
    )


def report(*heads: Throughput, lengths: dict[int, float], base: dict[int, float] | None = None) -> TextReport:
    return TextReport(
        heads=heads,
        lengths=timing(
            {
                (name, Shape(batch=2048 // tokens, tokens=tokens)): value
                for name, values in ((OURS, lengths), (IN_BASE_SIZES, base or {}))
                for tokens, value in values.items()
            }
        ),
        settings={OURS: "as it is"},
        conditions={"processor": "made up"},
        omissions=(),
    )


def test_texts_and_tokens_a_second_and_how_much_faster_the_first_is() -> None:
    result = throughput({(OURS, "session"): 0.5, (RIVAL, "arrival"): 2.0})
    lines = [
        [cell.strip() for cell in line.split("|")[1:-1]] for line in head_table(result).splitlines()[-3:]
    ]
    assert lines == [
        [OURS, "session", "1.02", "200", "4000", "1.00 (1.00 to 1.00)"],
        [RIVAL, "arrival", "2.50", "50", "1000", "4.00 (4.00 to 4.00)"],
        ["dead", "sorted", "1.05", "-", "-", "-"],
    ]


def test_single_texts_are_compared_with_single_texts() -> None:
    result = throughput({(OURS, "session"): 0.5, (OURS, "single"): 1.0, (RIVAL, "single"): 1.5})
    ratios = [line.split("|")[-2].strip() for line in head_table(result).splitlines()[-4:-1]]
    assert ratios == ["1.00 (1.00 to 1.00)", "1.00 (1.00 to 1.00)", "1.50 (1.50 to 1.50)"]


def test_limits_are_of_the_mean_of_the_heads_and_of_the_widest_pair_of_lengths() -> None:
    first = throughput({(OURS, "session"): 0.5, (RIVAL, "arrival"): 2.0, (RIVAL, "sorted"): 1.0})
    second = throughput({(OURS, "session"): 0.5, (RIVAL, "arrival"): 4.5, (RIVAL, "sorted"): 0.5})
    lengths, base = {8: 1.0, 64: 1.1, 256: 1.2}, {8: 2.2, 64: 2.0, 256: 2.1}
    judged = limits(report(first, second, lengths=lengths, base=base))
    assert [limit.observed for limit in judged] == pytest.approx([6.0, 2**0.5, 1.2, 1.1])
    assert [bool(limit) for limit in judged] == [True, False, False, True]
    assert IN_BASE_SIZES in judged[3].what
    assert not limits(report(first, lengths={}))[2]
    # A length at which a row could not be timed
    assert limits(report(first, lengths=lengths, base={8: 1.0}))[3].observed is None


@pytest.mark.parametrize(
    "seconds",
    [
        {(OURS, "session"): 0.5, (RIVAL, "arrival"): 2.0},
        {(RIVAL, "arrival"): 2.0, (RIVAL, "sorted"): 1.0},
    ],
    ids=["the rival died", "ours could not be made"],
)
def test_a_limit_without_its_measurement_is_missed(seconds: dict[tuple[str, Order], float]) -> None:
    judged = limits(report(throughput(seconds), lengths={8: 1.0}))
    assert judged[1].observed is None
    assert not judged[1]


def test_the_time_of_a_token_is_that_of_all_texts_over_their_tokens() -> None:
    made = report(lengths={8: 2.048, 256: 4.096})
    assert seconds_per_token(made.lengths)[OURS] == pytest.approx({8: 1e-3, 256: 2e-3})
    assert [cell.strip() for cell in length_table(made).splitlines()[-1].split("|")[2:-1]] == [
        "1000.0",
        "2000.0",
    ]


def test_an_unsteady_head_and_what_is_left_out_are_said() -> None:
    result = throughput({(OURS, "session"): 0.5})
    unsteady = replace(result.timing.steadiness, steady=False, reasons=("someone else was there",))
    result = replace(result, timing=replace(result.timing, steadiness=unsteady))
    made = report(result, lengths={8: 1.0})
    assert not made.steady
    document = markdown(made, limits(made))
    assert "someone else was there" in document
    assert "- dead, sorted: it died" in document
    record = json.loads(to_json(made, limits(made)))
    assert record["heads"][0]["steadiness"]["steady"] is False
    assert len(record["heads"][0]["samples"][0]["seconds_by_turn"]) == 20
    assert record["wanted"][0]["met"] is False
