"""Taking turns: the order and the number of runs. How long they take is nobody's to assert."""

from collections.abc import Callable

from distilforge.manifest import Span

from validation.latency import FEWEST_ROUNDS, WARM_UPS, time_in_turns, usable_shapes


def test_subjects_take_turns_and_every_timed_run_follows_one_that_is_not() -> None:
    order: list[str] = []

    def subject(letter: str) -> Callable[[], None]:
        return lambda: order.append(letter)

    samples = time_in_turns({letter: subject(letter) for letter in "efi"}, seconds=0.0)
    assert {name: len(taken) for name, taken in samples.items()} == dict.fromkeys("efi", FEWEST_ROUNDS)
    assert order[: 3 * WARM_UPS] == ["e", "f", "i"] * WARM_UPS
    rounds = "".join(order[3 * WARM_UPS :])
    assert rounds == ("eeffii" + "iiffee") * (FEWEST_ROUNDS // 2) + "eeffii" * (FEWEST_ROUNDS % 2)


def test_shapes_are_held_within_the_spans_and_named_once() -> None:
    spans = {"batch": Span(low=1, usual=2, high=4), "sequence": Span(low=2, usual=8, high=64)}
    assert usable_shapes(((1, 16), (1, 128), (8, 128), (1, 64)), spans) == ((1, 16), (1, 64), (4, 64))
