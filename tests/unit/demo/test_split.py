"""Splits of examples share neither source nor text, and do not depend on the source's order."""

from demo.split import Example, Sizes, Splits, split

SIZES = Sizes(evaluation=10, calibration=5, development=5, per_group=2)


def _examples() -> list[Example]:
    return [
        Example(
            record={"text": f"group {group} example {number}"},
            group=f"group {group}",
            texts=frozenset({f"text {group}", f"shared {group // 3}"}),
            training_only=group % 7 == 0,
        )
        for group in range(60)
        for number in range(3)
    ]


def _sets(splits: Splits) -> tuple[tuple[Example, ...], ...]:
    return (splits.train, splits.development, splits.evaluation, splits.calibration)


def test_sizes_are_met() -> None:
    train, *held_out = _sets(split(_examples(), SIZES))
    assert [len(examples) for examples in held_out] == [5, 10, 5]
    assert train


def test_no_two_splits_share_a_group_or_a_text() -> None:
    sets = _sets(split(_examples(), SIZES))
    for index, one in enumerate(sets):
        for other in sets[index + 1 :]:
            assert {example.group for example in one}.isdisjoint(example.group for example in other)
            texts = frozenset[str]().union(*(example.texts for example in one))
            assert all(texts.isdisjoint(example.texts) for example in other)


def test_a_group_gives_a_held_out_split_no_more_than_its_share() -> None:
    evaluation = split(_examples(), SIZES).evaluation
    groups = [example.group for example in evaluation]
    assert max(groups.count(group) for group in groups) <= SIZES.per_group


def test_training_only_examples_are_never_held_out() -> None:
    _, *held_out = _sets(split(_examples(), SIZES))
    assert not any(example.training_only for examples in held_out for example in examples)


def test_the_order_of_the_source_does_not_matter() -> None:
    forwards, backwards = split(_examples(), SIZES), split(list(reversed(_examples())), SIZES)
    assert forwards.evaluation == backwards.evaluation
    assert forwards.calibration == backwards.calibration
