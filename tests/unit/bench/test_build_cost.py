"""Builds in turns, and the cost of several builds, on made-up costs."""

import pytest

from bench.build_cost import BuildCost, BuilderCosts, BuildError, measure_in_turns


def test_the_time_of_builds_is_the_median_and_their_memory_the_largest() -> None:
    costs = tuple(BuildCost(seconds=seconds, peak_bytes=peak) for seconds, peak in ((5, 7), (1, 9), (2, 8)))
    builds = BuilderCosts(costs=costs)
    assert (builds.seconds, builds.peak_bytes) == (2.0, 9)


def test_builders_take_turns_and_each_round_begins_with_another() -> None:
    builders: list[str] = []

    def build(builder: str) -> BuildCost:
        builders.append(builder)
        return BuildCost(seconds=len(builders), peak_bytes=1)

    builds, errors = measure_in_turns(("ours", "theirs"), build, rounds=3)
    assert builders == ["ours", "theirs", "theirs", "ours", "ours", "theirs"]
    assert [cost.seconds for cost in builds["theirs"].costs] == [2, 3, 6]
    assert errors == {}


@pytest.mark.parametrize("successes", [0, 1])
def test_a_builder_that_fails_is_not_run_again_and_does_not_count(successes: int) -> None:
    builders: list[str] = []

    def build(builder: str) -> BuildCost:
        if builder == "theirs" and builders.count("theirs") == successes:
            raise BuildError("no room")
        builders.append(builder)
        return BuildCost(seconds=1, peak_bytes=1)

    builds, errors = measure_in_turns(("ours", "theirs"), build, rounds=3)
    assert builders.count("ours") == 3
    assert builders.count("theirs") == successes
    assert set(builds) == {"ours"}
    assert str(errors["theirs"]) == "no room"
