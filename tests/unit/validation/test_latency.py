"""Taking turns: the order and the number of runs. How long they take is nobody's to assert."""

from distilforge.manifest import Span

from validation.latency import FEWEST_ROUNDS, WARM_UPS, time_in_turns, usable_shapes


def test_subjects_take_turns_and_every_timed_run_follows_one_that_is_not() -> None:
    order: list[str] = []
    eager, variant = time_in_turns(lambda: order.append("e"), lambda: order.append("v"), seconds=0.0)
    assert len(eager) == len(variant) == FEWEST_ROUNDS
    assert order[: 2 * WARM_UPS] == ["e", "v"] * WARM_UPS
    rounds = "".join(order[2 * WARM_UPS :])
    assert rounds == ("eevv" + "vvee") * (FEWEST_ROUNDS // 2) + "eevv" * (FEWEST_ROUNDS % 2)


def test_shapes_are_held_within_the_spans_and_named_once() -> None:
    spans = {"batch": Span(low=1, usual=2, high=4), "sequence": Span(low=2, usual=8, high=64)}
    assert usable_shapes(((1, 16), (1, 128), (8, 128), (1, 64)), spans) == ((1, 16), (1, 64), (4, 64))
