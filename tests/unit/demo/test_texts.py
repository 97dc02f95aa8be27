"""Splitting texts into words, sentences and spans."""

import pytest

from demo.disfluent import locate, untokenized
from demo.documents import sentences
from demo.split import normalized
from demo.splits import masked_lm
from demo.splits.token_classification import label_words


def test_labels_restore_case_and_punctuation() -> None:
    assert label_words("Did NASA's Apollo (1969) land — or not? Yes; I know U.S. history.") == [
        ("did", "CAP"),
        ("nasa's", "CAP"),
        ("apollo", "CAP"),
        ("1969", "O"),
        ("land", "O"),
        ("or", "O"),
        ("not", "QUESTION"),
        ("yes", "CAP+COMMA"),
        ("i", "CAP"),
        ("know", "O"),
        ("u.s", "UPPER+PERIOD"),
        ("history", "PERIOD"),
    ]


def test_sentences_end_before_capitals_and_digits() -> None:
    assert sentences("It rained, e.g. in Paris. 12 came. (So it was.)") == [
        "It rained, e.g. in Paris.",
        "12 came.",
        "(So it was.)",
    ]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [("Merwede-Oude Maas", "Merwede - Oude Maas"), ("1421", "1421"), ("Maa", None), ("Rhine", None)],
)
def test_an_answer_is_located_whatever_its_spaces(answer: str, expected: str | None) -> None:
    context = "In 1421 the line Merwede - Oude Maas moved."
    span = locate(answer, context)
    assert (None if span is None else context[span]) == expected


def test_tokenized_questions_are_joined() -> None:
    assert untokenized("What is the Earth ' s age ( in years ) ?") == "What is the Earth's age (in years)?"


def test_masked_words_put_back_give_the_text() -> None:
    text = "The river flows past the old town and the new bridge."
    words = frozenset({"the", "river", "town", "old", "bridge"})
    masked = masked_lm._masked(text, words)
    filled = str(masked["text"])
    targets = masked["targets"]
    assert isinstance(targets, list)
    assert len(targets) == round(masked_lm.MASKED_SHARE * len(text.split()))
    assert set(targets) <= words
    for target in targets:
        filled = filled.replace("[MASK]", target, 1)
    assert filled.lower() == text.lower()


def test_normalized_ignores_case_and_spaces() -> None:
    assert normalized("A  b\nC") == normalized("aBc")
    assert normalized("a") != normalized("b")
