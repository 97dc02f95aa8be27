"""The runtime's choices against transformers' model called directly."""

import distilforge
import pytest
import torch
import transformers
from distilforge import MultipleChoice

from tests.runtime_release import Pair, published

QUESTIONS = [
    ("the movie was", ["good", "bad and slow", "a café 🐶"]),
    ("", ["", "a"]),
    ("who is the doctor? " * 20, ["the king", "the cat " * 40, "x", "a house", "read"]),
    ("what", ["a", "b", "c"]),
]


@pytest.fixture(scope="module")
def pair() -> Pair:
    return published("multiple_choice")


def expected_scores(pair: Pair, context: str, options: list[str]) -> list[float]:
    model = transformers.DistilBertForMultipleChoice.from_pretrained(pair.checkpoint).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(pair.checkpoint)
    encoded = tokenizer([context] * len(options), options, padding=True, truncation=True, return_tensors="pt")
    with torch.no_grad():
        logits = model(**{name: tensor[None] for name, tensor in encoded.items()}).logits[0]
    return [float(score) for score in logits.softmax(-1)]


def test_questions(pair: Pair) -> None:
    session = distilforge.open(pair.release, head=MultipleChoice)
    for (context, options), choice in zip(QUESTIONS, session(QUESTIONS, truncation="truncate"), strict=True):
        scores = expected_scores(pair, context, options)
        assert choice.scores == pytest.approx(scores, abs=1e-5)
        assert choice.index == scores.index(max(scores))
        assert choice.text == options[choice.index]
        assert choice.score == max(choice.scores)
