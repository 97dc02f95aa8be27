"""The texts whose token ids are compared."""

import json
from pathlib import Path

import pytest

from tests.conftest import DEMO_HEADS
from validation.data import demo_texts
from validation.token_ids.texts import MOST_OF_A_FILE, made_up, of_data

PIECES = ("the", "##s", "movie", "[UNK]")


def test_made_up_texts_are_the_same_in_each_call() -> None:
    first, second = (made_up(("<a>",), PIECES, longest=64, count=900) for _ in range(2))
    assert first == second
    assert len(first) == 900


def test_made_up_texts_have_every_added_token_pairs_and_long_texts() -> None:
    tokens = tuple(f"<added{index}>" for index in range(1_000))
    texts = made_up(tokens, PIECES, longest=64, count=1_500)
    singles = [text for text in texts if isinstance(text, str)]
    assert all(any(token in text for text in singles) for token in tokens)
    assert len(texts) - len(singles) > 50
    assert max(len(text.split()) for text in singles) > 64
    assert max(len(word) for text in singles for word in text.split()) >= 1_000


@pytest.mark.parametrize("character", ["\0", "\u200d", "\U0001f600", "\ufeff", "\u0301", "\u2028"])
def test_made_up_texts_have_odd_characters(character: str) -> None:
    assert any(character in text for text in made_up((), PIECES, longest=64, count=900))


def test_a_tokenizer_without_pieces() -> None:
    assert len(made_up((), (), longest=64, count=900)) == 900


@pytest.mark.parametrize("head", DEMO_HEADS)
def test_the_texts_of_the_demo_are_compared(head: str) -> None:
    files = [demo_texts(head, "evaluation"), demo_texts(head, "calibration")]
    assert 50 < len(of_data(head, [path for path in files if path])) <= 2 * MOST_OF_A_FILE


def test_choices_are_pairs_with_their_context(tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    path.write_text(json.dumps({"context": "a", "choices": ["b", "c"], "label": 0}) + "\n")
    assert of_data("multiple_choice", [path, path]) == 2 * ("a", ("a", "b"), ("a", "c"))


def test_words_are_one_text(tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    path.write_text(json.dumps({"tokens": ["a", "b"], "labels": ["O", "O"]}) + "\n")
    assert "a b" in of_data("token_classification", [path, path])
