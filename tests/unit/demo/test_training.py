"""Batches, targets and scores of the training recipes, on made-up examples."""

import numpy as np
import pytest

from demo import encoder
from demo.training import heads
from demo.training.heads import question_answering as answers
from demo.training.loop import schedule
from demo.training.task import Item, bucketed, collate, in_order


def _items(lengths: list[int]) -> list[Item]:
    return [
        Item(rows=(tuple(range(1, length + 1)),), target=(place,)) for place, length in enumerate(lengths)
    ]


def test_a_pass_holds_every_item_once_within_the_budget() -> None:
    items = _items([3, 50, 7, 7, 20, 31, 4, 9] * 5)
    batches = list(bucketed(items, 64, np.random.default_rng(0)))
    assert sorted(target[0] for batch in batches for target in batch.targets) == list(range(len(items)))
    assert all(batch.input_ids.numel() <= 64 for batch in batches)


def test_batches_in_order_name_their_items() -> None:
    items = _items([9, 2, 30, 4])
    places = [place for group, _ in in_order(items, 32) for place in group]
    assert sorted(places) == [0, 1, 2, 3]
    assert all(
        [items[place].target for place in group] == list(batch.targets) for group, batch in in_order(items)
    )


def test_padding_is_masked() -> None:
    batch = collate(_items([2, 4]))
    assert batch.input_ids.tolist() == [[1, 2, 0, 0], [1, 2, 3, 4]]
    assert batch.attention_mask.tolist() == [[1, 1, 0, 0], [1, 1, 1, 1]]


def test_the_learning_rate_rises_then_falls() -> None:
    rates = [schedule(share) for share in (0.0, 0.025, 0.05, 0.5, 1.0)]
    assert rates == pytest.approx([0.01, 0.5, 0.994, 0.5, 0.01], abs=0.01)


@pytest.mark.parametrize("place", [0, 40, 199])
def test_a_window_keeps_the_answer(place: int) -> None:
    words = [f"word{number}" for number in range(200)]
    context = " ".join(words)
    record = {
        "question": "which?",
        "context": context,
        "answers": [{"text": words[place], "start": context.index(words[place])}],
    }
    (item,) = heads.find("question_answering").items([record])
    first, last = item.target
    pieces = encoder.tokenizer().decode(list(item.rows[0][first : last + 1]))
    assert pieces.replace(" ", "") == words[place]
    assert item.longest < answers.LONGEST_TRAINING_CONTEXT_TOKENS + 10


def test_answers_are_scored_by_squads_rules() -> None:
    records = [{"answers": [{"text": "the Denver Broncos"}, {"text": "Denver"}]}] * 3
    scores = answers._scores(["Denver Broncos!", "Denver city", "Paris"], records)
    assert scores["exact_match"] == pytest.approx(1 / 3)
    assert scores["f1"] == pytest.approx((1 + 2 / 3 + 0) / 3)


def test_word_labels_belong_to_first_pieces() -> None:
    record = {"tokens": ["antimicrobial", "peptides"], "labels": ["CAP", "PERIOD"]}
    task = heads.find("token_classification")
    (item,) = task.items([record])
    labels = list(task.config()["id2label"].values())  # type: ignore[attr-defined]
    assert [labels[label] for label in item.target if label >= 0] == ["CAP", "PERIOD"]
    assert item.target[0] == item.target[-1] == -100
    assert len(item.target) == len(item.rows[0]) > 4


def test_every_head_has_a_recipe_under_its_name() -> None:
    assert all(heads.find(name).head == name for name in heads.names())
