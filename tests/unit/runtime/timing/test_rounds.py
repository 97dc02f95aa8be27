"""Rounds with real worker processes that sleep: who has a turn when, what is kept, and when it ends."""

from itertools import groupby
from pathlib import Path

import pytest
from distilforge.errors import TimingError
from distilforge.timing.process import open_workers
from distilforge.timing.rounds import MOST_RUNS, Budget, Timing, time_in_rounds, time_subjects
from distilforge.timing.shape import Shape

from tests.timing_subjects import DEADLY, REFUSED, measurement, sleeper, steady

SHAPES = (Shape(batch=1, tokens=16), Shape(batch=2, tokens=8))
# Width 0 is never reached by two clocks, and no time at all is over at once
FEWEST = Budget(seconds=0.0, width=0.0)


@pytest.fixture(scope="module")
def timed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Timing, list[str]]:
    """Three subjects at two shapes and one that the last refuses, and who ran at what, in order."""
    log = tmp_path_factory.mktemp("rounds") / "log"
    rows = [sleeper("quick", 0.001, log), sleeper("slow", 0.02, log)]
    with open_workers(rows) as workers:
        timing = time_in_rounds(workers, (*SHAPES, Shape(batch=1, tokens=REFUSED)), FEWEST)
    return timing, log.read_text(encoding="utf-8").splitlines()


def test_every_subject_has_its_turn_at_every_shape_in_every_round(timed: tuple[Timing, list[str]]) -> None:
    timing, _ = timed
    assert [(taken.subject, f"{taken.batch}x{taken.tokens}") for taken in timing.measurements] == [
        (name, str(shape)) for shape in SHAPES for name in ("quick", "slow")
    ]
    # 5 rounds are the fewest for an interval at 95%
    assert {len(taken.rounds) for taken in timing.measurements} == {5}
    assert timing.steadiness.rounds == 5
    assert timing.shapes == SHAPES


def test_a_quick_subject_runs_several_times_a_turn_and_a_slow_one_once(
    timed: tuple[Timing, list[str]],
) -> None:
    runs = {taken.subject: set(taken.runs) for taken in timed[0].measurements}
    # A turn is 30 ms: at most 10 runs of a millisecond, and one of 20
    assert runs["slow"] == {1}
    assert 1 < max(runs["quick"]) <= MOST_RUNS


def test_the_order_changes_from_round_to_round_and_shapes_take_turns(timed: tuple[Timing, list[str]]) -> None:
    _, log = timed
    # Warming up goes through all four once
    turns = [turn for turn, _ in groupby(log)][4:]
    shapes = [shape for shape, _ in groupby(turn.split()[1] for turn in turns)]
    assert len(shapes) > 2
    rounds = {tuple(turns[start : start + 4]) for start in range(0, len(turns) - 3, 4)}
    assert len(rounds) > 1


def test_a_refused_shape_is_told_and_costs_nothing_else(timed: tuple[Timing, list[str]]) -> None:
    timing, _ = timed
    refused = Shape(batch=1, tokens=REFUSED)
    assert set(timing.refused) == {("quick", refused), ("slow", refused)}
    assert timing.refused["quick", refused] == "ValueError: 13 tokens bring bad luck"
    assert timing.seconds("quick", refused) is None


def test_facts_are_those_of_the_last_turn(timed: tuple[Timing, list[str]]) -> None:
    timing, log = timed
    counts = [timing.facts["slow", shape]["runs"] for shape in SHAPES]
    assert max(count for count in counts if isinstance(count, int)) == sum("slow" in line for line in log)


def test_it_ends_once_the_intervals_are_narrow_enough(tmp_path: Path) -> None:
    rows = [sleeper(name, 0.001, tmp_path / "log") for name in ("one", "two")]
    lines: list[str] = []
    with open_workers(rows) as workers:
        timing = time_in_rounds(workers, SHAPES[:1], Budget(seconds=60.0, width=1e9), progress=lines.append)
    assert timing.steadiness.rounds == len(lines) == 5
    assert lines[0].startswith("round 1, after ")


def test_the_budget_ends_it(tmp_path: Path) -> None:
    with open_workers([sleeper("one", 0.001, tmp_path / "log")]) as workers:
        by_rounds = time_in_rounds(workers, SHAPES[:1], Budget(seconds=60.0, most_rounds=7))
        by_time = time_in_rounds(workers, SHAPES[:1], Budget(seconds=0.5))
    # One subject has no ratio that could become narrow
    assert by_rounds.steadiness.rounds == 7
    assert 5 <= by_time.steadiness.rounds < 200


def test_where_no_subject_takes_a_shape_nothing_is_timed(tmp_path: Path) -> None:
    with open_workers([sleeper("one", 0.001, tmp_path / "log")]) as workers:
        timing = time_in_rounds(workers, [Shape(batch=1, tokens=REFUSED)], Budget(seconds=60.0))
    assert timing.measurements == ()
    assert len(timing.refused) == 1


def test_a_subject_that_dies_ends_the_timing(tmp_path: Path) -> None:
    rows = [sleeper("one", 0.0, tmp_path / "log")]
    with pytest.raises(TimingError, match="the process of one ended with exit code 3: a last word"):
        time_subjects(rows, [Shape(batch=1, tokens=DEADLY)], FEWEST, progress=lambda line: None)


def test_ratios_and_seconds_leave_out_the_rounds_in_which_the_cores_were_apart() -> None:
    near, apart = (1.0,), (9.0,)
    timing = Timing(
        measurements=(
            measurement("one", SHAPES[0], (near, apart, near, near, near, near)),
            measurement("two", SHAPES[0], ((2.0,),) * 6),
        ),
        steadiness=steady(6, apart=(1,)),
    )
    seconds, ratio = timing.seconds("one", SHAPES[0]), timing.ratio("one", "two")
    assert seconds is not None
    assert seconds.interval == (1.0, 1.0)
    assert ratio is not None
    assert ratio.interval == pytest.approx((2.0, 2.0))
