"""How the examples of each head are encoded: scored positions, targets, what is cut off and what is refused."""

import json
import re
from pathlib import Path

import pytest
from distilforge.manifest import Span
from distilforge.tokenizer import Tokenizer

from tests.conftest import write_tokenizer
from validation.errors import DataError
from validation.tasks.base import CheckpointReader, Row
from validation.tasks.features import Features, MatchedText
from validation.tasks.masked_lm import MaskedLM, MaskedText
from validation.tasks.multiple_choice import Choice, MultipleChoice
from validation.tasks.question_answering import Question, QuestionAnswering
from validation.tasks.sequence_classification import ClassifiedText, SequenceClassification
from validation.tasks.token_classification import LabelledWords, TokenClassification

LONGEST = 16


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> CheckpointReader:
    folder: Path = tmp_path_factory.mktemp("tokenizer")
    write_tokenizer(folder)
    return reader_of(folder)


@pytest.fixture(scope="module")
def left_reader(tmp_path_factory: pytest.TempPathFactory) -> CheckpointReader:
    """A reader that cuts off the start of a text."""
    folder: Path = tmp_path_factory.mktemp("tokenizer")
    write_tokenizer(folder)
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"truncation_side": "left"}))
    return reader_of(folder)


def reader_of(folder: Path) -> CheckpointReader:
    return CheckpointReader(
        tokenizer=Tokenizer(folder),
        spans={
            "batch": Span(low=1, usual=4, high=8),
            "choices": Span(low=2, usual=3, high=4),
            "sequence": Span(low=2, usual=8, high=LONGEST),
        },
    )


def tokens(reader: CheckpointReader, row: Row, positions: tuple[int, ...]) -> list[str]:
    return [reader.tokenizer.token(row.encodings[0].ids[position]) for position in positions]


def words(text: str, *labels: int) -> LabelledWords:
    return LabelledWords(place="data:1", tokens=tuple(text.split()), labels=labels)


def test_a_word_is_scored_at_its_first_wordpiece(reader: CheckpointReader) -> None:
    task = TokenClassification(labels=("O", "X"))
    # "cats" is cat ##s; "unmaking" and "zz" fall into pieces too
    (row,) = task.rows(words("the cats unmaking zz dog", 0, 1, 0, 1, 0), 3, reader)
    assert tokens(reader, row, row.scored_positions) == ["the", "cat", "un", "z", "dog"]
    assert row.targets == (0, 1, 2, 3, 4)
    assert (row.example, row.truncated) == (3, False)


def test_words_beyond_the_longest_input_are_not_scored(reader: CheckpointReader) -> None:
    task = TokenClassification(labels=("O", "X"))
    (row,) = task.rows(words("dog " * 30, *[0] * 30), 0, reader)
    assert row.truncated
    assert row.tokens == LONGEST
    assert row.targets == tuple(range(LONGEST - 2))


def test_where_the_start_is_cut_off_the_rest_of_a_word_is_not_scored(left_reader: CheckpointReader) -> None:
    task = TokenClassification(labels=("O", "X"))
    # Room for the ##s of the first word that is kept, and for 13 words
    (row,) = task.rows(words("cats cats " + "dog " * 13, *[0] * 15), 0, left_reader)
    assert row.encodings[0].tokens[:3] == ["[CLS]", "##s", "dog"]
    assert tokens(left_reader, row, row.scored_positions) == ["dog"] * 13
    assert row.targets == tuple(range(2, 15))
    # One wordpiece fewer, and the word is kept as a whole
    (row,) = task.rows(words("cats cats " + "dog " * 12, *[0] * 14), 0, left_reader)
    assert tokens(left_reader, row, row.scored_positions) == ["cat", *["dog"] * 12]
    assert row.targets == tuple(range(1, 14))


def test_a_word_without_a_wordpiece_is_left_out_and_the_others_keep_their_number(
    reader: CheckpointReader,
) -> None:
    task = TokenClassification(labels=("O", "X"))
    # The tokenizer drops control characters, so that the second word has no wordpiece
    (row,) = task.rows(words("dog \x01 cat", 0, 1, 0), 0, reader)
    assert tokens(reader, row, row.scored_positions) == ["dog", "cat"]
    assert row.targets == (0, 2)


def test_wordpieces_in_the_place_of_words_are_refused(reader: CheckpointReader) -> None:
    example = words("the cat ##s won", 0, 1, 1, 0)
    with pytest.raises(DataError, match=r"data:1: tokens\[2\] is '##s'") as caught:
        TokenClassification(labels=("O", "X")).rows(example, 0, reader)
    assert "whole words" in caught.value.hint
    # Words of the data that are not in the vocabulary, such as hashtags, and texts for calibration
    TokenClassification(labels=("O", "X")).rows(words("the ## ##hashtag", 0, 0, 0), 0, reader)
    TokenClassification(labels=("O", "X"), labelled=False).rows(example, 0, reader)


def test_masks_are_scored_and_their_words_are_the_targets(reader: CheckpointReader) -> None:
    example = MaskedText(place="data:1", text="a [MASK] dog [MASK]", targets=("good", "won"))
    (row,) = MaskedLM(labels=()).rows(example, 0, reader)
    assert tokens(reader, row, row.scored_positions) == ["[MASK]", "[MASK]"]
    assert [reader.tokenizer.token(target) for target in row.targets] == ["good", "won"]


@pytest.mark.parametrize("target", ["good", "Good", "g\u00f2od"])
def test_a_target_may_have_what_the_tokenizer_does_not_read(target: str, reader: CheckpointReader) -> None:
    example = MaskedText(place="", text="a [MASK] film", targets=(target,))
    (row,) = MaskedLM(labels=()).rows(example, 0, reader)
    assert row.targets == (reader.tokenizer.token_id("good"),)


@pytest.mark.parametrize(("target", "read"), [("\u4e2d", r"\[UNK\]"), ("good film", "good, film")])
def test_a_target_that_is_unknown_or_several_wordpieces_is_refused(
    target: str, read: str, reader: CheckpointReader
) -> None:
    example = MaskedText(place="data.jsonl:7", text="a [MASK] film", targets=(target,))
    with pytest.raises(DataError, match=r"data\.jsonl:7: .* not one wordpiece") as caught:
        MaskedLM(labels=()).rows(example, 0, reader)
    assert re.search(f"splits it into {read};", caught.value.hint)


def test_masks_that_were_cut_off_have_no_target(reader: CheckpointReader) -> None:
    example = MaskedText(place="", text="[MASK] " + "dog " * 30 + "[MASK]", targets=("good", "won"))
    (row,) = MaskedLM(labels=()).rows(example, 0, reader)
    assert row.truncated
    assert (row.scored_positions, len(row.targets)) == ((1,), 1)


def test_where_the_start_is_cut_off_the_masks_that_are_left_keep_their_targets(
    left_reader: CheckpointReader,
) -> None:
    example = MaskedText(
        place="", text="[MASK] " + "dog " * 30 + "[MASK] a [MASK]", targets=("good", "won", "cat")
    )
    (row,) = MaskedLM(labels=()).rows(example, 0, left_reader)
    assert row.truncated
    assert tokens(left_reader, row, row.scored_positions) == ["[MASK]", "[MASK]"]
    assert [left_reader.tokenizer.token(target) for target in row.targets] == ["won", "cat"]


def test_without_labels_masked_words_are_not_kept_but_must_be_in_the_vocabulary_with_them(
    reader: CheckpointReader,
) -> None:
    example = MaskedText(place="data:4", text="a [MASK]", targets=("good",))
    (row,) = MaskedLM(labels=(), labelled=False).rows(example, 0, reader)
    assert (row.targets, row.scored_positions) == ((), (2,))
    unknown = MaskedText(place="data:4", text="a [MASK]", targets=("cats",))
    with pytest.raises(
        DataError, match="data:4: field 'targets' has 'cats', which is not one wordpiece"
    ) as caught:
        MaskedLM(labels=()).rows(unknown, 0, reader)
    assert "cat, ##s" in caught.value.hint


@pytest.mark.parametrize("count", [1, 5])
def test_the_release_limits_the_number_of_choices(count: int, reader: CheckpointReader) -> None:
    example = Choice(place="data:2", context="a", choices=("dog",) * count, label=0)
    with pytest.raises(
        DataError, match=f"data:2: field 'choices' has {count} texts; the release takes 2 to 4"
    ):
        MultipleChoice(labels=()).rows(example, 0, reader)


def test_each_choice_is_encoded_with_the_context(reader: CheckpointReader) -> None:
    example = Choice(place="", context="the dog", choices=("won", "lost game"), label=0)
    (row,) = MultipleChoice(labels=()).rows(example, 0, reader)
    assert [encoding.tokens for encoding in row.encodings] == [
        ["[CLS]", "the", "dog", "[SEP]", "won", "[SEP]"],
        ["[CLS]", "the", "dog", "[SEP]", "lost", "game", "[SEP]"],
    ]
    assert row.tokens == 7


def test_of_a_pair_the_longer_text_is_cut(reader: CheckpointReader) -> None:
    example = ClassifiedText(place="", text="dog " * 30, text_pair="cat", truth=())
    (row,) = SequenceClassification(labels=("a", "b")).rows(example, 0, reader)
    assert row.truncated
    assert row.encodings[0].tokens == ["[CLS]", *["dog"] * (LONGEST - 4), "[SEP]", "cat", "[SEP]"]


def test_a_text_and_its_match_are_two_rows_of_one_example(reader: CheckpointReader) -> None:
    task = Features(labels=())
    rows = task.rows(MatchedText(place="", text="a dog", match="dog " * 30), 5, reader)
    assert [(row.example, row.part, row.truncated) for row in rows] == [(5, 0, False), (5, 1, True)]
    assert len(task.rows(MatchedText(place="", text="a dog", match=None), 0, reader)) == 1


def test_a_question_that_leaves_no_room_is_refused_with_its_place(reader: CheckpointReader) -> None:
    task = QuestionAnswering(labels=())
    with pytest.raises(DataError, match="data:9: the first text has 30 tokens and leaves no room"):
        task.rows(Question(place="data:9", question="who " * 30, context="a dog", answers=()), 0, reader)
    rows = task.rows(Question(place="", question="who", context="dog " * 30, answers=()), 0, reader)
    assert len(rows) > 1
    assert all(row.tokens <= LONGEST for row in rows)
