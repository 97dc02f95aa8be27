"""Rounds with real worker processes that sleep: who has a turn when, what is kept, and when it ends."""

import math
from itertools import groupby
from pathlib import Path

import pytest
from distilforge.errors import TimingError
from distilforge.timing import steadiness
from distilforge.timing.process import open_workers
from distilforge.timing.rounds import MOST_RUNS, Budget, Timing, time_in_rounds, time_subjects
from distilforge.timing.shape import Shape

from tests.timing_subjects import DEADLY, REFUSED, sleeper

SHAPES = (Shape(batch=1, tokens=16), Shape(batch=2, tokens=8))
# Two clocks never give an interval of width 0, and no time at all is over at once
FEWEST_ROUNDS = Budget(seconds=0.0, width=0.0)


@pytest.fixture(scope="module")
def timed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Timing, list[str]]:
    """Two subjects at two shapes and at one that they refuse, and who ran at what, in order."""
    log = tmp_path_factory.mktemp("rounds") / "log"
    subjects = [sleeper("quick", 0.001, log), sleeper("slow", 0.02, log)]
    with open_workers(subjects) as workers:
        timing = time_in_rounds(workers, (*SHAPES, Shape(batch=1, tokens=REFUSED)), FEWEST_ROUNDS)
    return timing, log.read_text(encoding="utf-8").splitlines()


def test_every_subject_has_its_turn_at_every_shape_in_every_round(timed: tuple[Timing, list[str]]) -> None:
    timing, _ = timed
    assert [
        (measurement.subject, f"{measurement.batch}x{measurement.tokens}")
        for measurement in timing.measurements
    ] == [(name, str(shape)) for shape in SHAPES for name in ("quick", "slow")]
    # 5 rounds are the fewest for an interval at 95%
    assert {len(measurement.rounds) for measurement in timing.measurements} == {5}
    assert timing.steadiness.rounds == 5
    assert timing.shapes == SHAPES


def test_a_quick_subject_runs_several_times_a_turn_and_a_slow_one_once(
    timed: tuple[Timing, list[str]],
) -> None:
    runs = {measurement.subject: set(measurement.runs) for measurement in timed[0].measurements}
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


def test_a_refused_shape_has_its_reason_and_costs_nothing_else(timed: tuple[Timing, list[str]]) -> None:
    timing, _ = timed
    refused = Shape(batch=1, tokens=REFUSED)
    assert set(timing.refusals) == {("quick", refused), ("slow", refused)}
    assert timing.refusals["quick", refused] == "ValueError: 13 tokens bring bad luck"
    assert timing.seconds("quick", refused) is None


def test_facts_are_those_of_the_last_turn(timed: tuple[Timing, list[str]]) -> None:
    timing, log = timed
    counts = [timing.facts["slow", shape]["runs"] for shape in SHAPES]
    assert max(count for count in counts if isinstance(count, int)) == sum("slow" in line for line in log)


def test_it_ends_once_the_intervals_are_narrow_enough(tmp_path: Path) -> None:
    subjects = [sleeper(name, 0.001, tmp_path / "log") for name in ("one", "two")]
    lines: list[str] = []
    with open_workers(subjects) as workers:
        timing = time_in_rounds(workers, SHAPES[:1], Budget(seconds=60.0, width=1e9), progress=lines.append)
    assert timing.steadiness.rounds == len(lines) == 10
    assert lines[0].startswith("round 1, ")


def test_the_budget_ends_it(tmp_path: Path) -> None:
    with open_workers([sleeper("one", 0.001, tmp_path / "log")]) as workers:
        by_rounds = time_in_rounds(workers, SHAPES[:1], Budget(seconds=60.0, most_rounds=7))
        by_time = time_in_rounds(workers, SHAPES[:1], Budget(seconds=0.5))
    assert by_rounds.steadiness.rounds == 7
    assert 5 <= by_time.steadiness.rounds < 200


def test_if_no_subject_takes_a_shape_nothing_is_timed(tmp_path: Path) -> None:
    with open_workers([sleeper("one", 0.001, tmp_path / "log")]) as workers:
        timing = time_in_rounds(workers, [Shape(batch=1, tokens=REFUSED)], Budget(seconds=60.0))
    assert timing.measurements == ()
    assert len(timing.refusals) == 1


@pytest.mark.parametrize(("limit", "times"), [(-1.0, 2), (math.inf, 1)])
def test_an_unsteady_timing_is_repeated_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: float, times: int
) -> None:
    """Limits that no machine meets, and limits that every machine meets."""
    for name in (
        "SPREAD_LIMIT",
        "OTHERS_CORES_LIMIT",
        "STOLEN_CORES_LIMIT",
        "INTERRUPTIONS_LIMIT",
        "CLOCK_CHANGE_LIMIT",
    ):
        monkeypatch.setattr(steadiness, name, limit)
    progress: list[str] = []
    rounds: list[str] = []
    timing = time_subjects(
        [sleeper("one", 0.001, tmp_path / "log")],
        SHAPES[:1],
        FEWEST_ROUNDS,
        progress=progress.append,
        round_progress=rounds.append,
    )
    assert timing.steadiness.steady == (times == 1)
    assert len(rounds) == 5 * times
    assert len(progress) == times - 1
    assert all(line.startswith("timing once more, since ") for line in progress)
    # The second timing replaces the first
    assert timing.steadiness.rounds == 5


def test_a_subject_that_dies_ends_the_timing(tmp_path: Path) -> None:
    subjects = [sleeper("one", 0.0, tmp_path / "log")]
    with pytest.raises(TimingError, match="the process of one ended with exit code 3: a last word"):
        time_subjects(subjects, [Shape(batch=1, tokens=DEADLY)], FEWEST_ROUNDS, progress=lambda line: None)
