"""Metrics and decisions of every head, from answers that are worked out by hand."""

import functools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from distilforge.tokenizer import Tokenizer

from tests.runtime_release import LABELS, published, read_manifest
from validation.answers.batches import batches
from validation.statistics.metrics import Score
from validation.statistics.noninferiority import loss_interval
from validation.tasks.base import Answers, ReleaseReader, Row
from validation.tasks.features import Features, MatchedText
from validation.tasks.masked_lm import MaskedLM, MaskedText
from validation.tasks.multiple_choice import Choice, MultipleChoice
from validation.tasks.question_answering import Question, QuestionAnswering
from validation.tasks.record import LARGEST, SMALLEST, Record
from validation.tasks.sequence_classification import ClassifiedText, SequenceClassification
from validation.tasks.token_classification import LabelledWords, TokenClassification


@functools.cache
def reader_of(head: str) -> ReleaseReader:
    release = published(head, LABELS.get(head, ())).release
    return ReleaseReader(manifest=read_manifest(release), tokenizer=Tokenizer(release), vocabulary=10_000)


def answers(*arrays: object, targets: tuple[tuple[int, ...], ...] = ()) -> Answers:
    """One array for each row; every row is its own example."""
    return Answers(
        rows=tuple(
            Row(example=index, encodings=(), targets=targets[index] if targets else ())
            for index in range(len(arrays))
        ),
        arrays=tuple(np.asarray(array, dtype=np.float64) for array in arrays),
    )


def values(scores: tuple[Score, ...]) -> dict[str, float]:
    return {score.name: score.value for score in scores}


def classified(*truths: float | tuple[int, ...]) -> tuple[ClassifiedText, ...]:
    return tuple(ClassifiedText(place="", text="a", text_pair=None, truth=truth) for truth in truths)


def test_one_label_is_the_highest_logit() -> None:
    head = "sequence_classification"
    task = SequenceClassification(labels=("a", "b", "c"))
    examples = classified((1, 0, 0), (0, 1, 0), (0, 1, 0), (0, 0, 1))
    given = answers([2, 1, 0], [0, 3, 1], [9, 3, 1], [-3, -2, -1])
    # Right but for the third. F1 of a: 1 of 2 predicted and 1 actual, 2/3; of b: 1 of 1 and 2, 2/3; of c: 1
    scores = values(task.scores(examples, given, given, reader_of(head)))
    assert scores == pytest.approx({"accuracy": 3 / 4, "macro F1": (2 / 3 + 2 / 3 + 1) / 3})
    assert task.decisions(examples, given, reader_of(head)).tolist() == [0, 1, 0, 2]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("predicted", [1.0, LARGEST])
def test_the_largest_numbers_have_finite_statistics(predicted: float) -> None:
    head = "sequence_classification"
    task = SequenceClassification(labels=("grade",), problem_type="regression")
    random = np.random.default_rng(3)
    examples = classified(*(LARGEST * random.choice([-1.0, 1.0], 300)))
    eager = answers(*predicted * random.uniform(-1, 1, (300, 1)))
    variant = answers(*predicted * random.uniform(-1, 1, (300, 1)))
    before, after = (task.scores(examples, given, eager, reader_of(head)) for given in (eager, variant))
    for pair in zip(before, after, strict=True):
        assert all(np.isfinite([score.value for score in pair]))
        assert np.isfinite(loss_interval(*pair, critical=2)).all()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("size", [SMALLEST, 1e-120, 5e-324])
def test_the_smallest_numbers_have_finite_statistics(size: float) -> None:
    head = "sequence_classification"
    task = SequenceClassification(labels=("grade",), problem_type="regression")
    random = np.random.default_rng(3)
    examples = tuple(
        task.parse(Record({"text": "a", "label": size * sign}, Path("data.jsonl"), 1))
        for sign in random.choice([-1.0, 1.0], 300)
    )
    eager = answers(*random.uniform(-1, 1, (300, 1)))
    variant = answers(*random.uniform(-1, 1, (300, 1)))
    before, after = (task.scores(examples, given, eager, reader_of(head)) for given in (eager, variant))
    for pair in zip(before, after, strict=True):
        assert all(np.isfinite([score.value for score in pair]))
        assert np.isfinite(loss_interval(*pair, critical=2)).all()


def test_several_labels_are_those_above_one_half() -> None:
    head = "sequence_classification"
    task = SequenceClassification(labels=("a", "b", "c"), problem_type="multi_label_classification")
    examples = classified((1, 0, 1), (0, 0, 0))
    given = answers([0.1, -0.1, -2], [-1, -1, -0.01])
    # 1 label is right, of 1 predicted and 2 actual; the second text is right as a whole
    scores = values(task.scores(examples, given, given, reader_of(head)))
    assert scores == pytest.approx({"micro F1": 2 / 3, "exact match": 1 / 2})
    assert task.decisions(examples, given, reader_of(head)).tolist() == [1, 0, 0, 0, 0, 0]


def test_a_number_is_explained_and_decides_nothing() -> None:
    head = "sequence_classification"
    task = SequenceClassification(labels=("grade",))
    assert task.kind == "regression"
    examples = classified(1.0, 3.0, 5.0, 7.0)
    given = answers([2], [3], [4], [9])
    # Deviations from the means 4.5 and 4: products 7.5 + 1.5 - 0.5 + 13.5 = 22, squares 29 and 20
    scores = values(task.scores(examples, given, given, reader_of(head)))
    assert scores == pytest.approx({"R2": 1 - 6 / 20, "Pearson r": 22 / (29 * 20) ** 0.5})
    assert task.decisions(examples, given, reader_of(head)).size == 0


def test_a_number_is_the_one_that_the_session_gives() -> None:
    logits = {"logits": np.float32([2.0])}
    row = Row(example=0, encodings=())
    assert SequenceClassification(labels=("score",)).reduce(row, logits) == pytest.approx(
        [1 / (1 + np.exp(-2))]
    )
    regression = SequenceClassification(labels=("grade",), problem_type="regression")
    assert regression.reduce(row, logits).tolist() == regression.row_scores(row, logits).tolist() == [2.0]


def test_the_change_of_a_large_number_is_relative_to_it() -> None:
    numbers = SequenceClassification(labels=("grade",))
    assert numbers.score_change(np.asarray([200.0]), np.asarray([210.0])) == pytest.approx(0.05)
    assert numbers.score_change(np.asarray([0.2]), np.asarray([0.3])) == pytest.approx(0.1)
    labels = SequenceClassification(labels=("a", "b"))
    assert labels.score_change(np.asarray([0.2, 0.8]), np.asarray([0.5, 0.5])) == pytest.approx(0.3)


def words(*labels: tuple[int, ...]) -> tuple[LabelledWords, ...]:
    return tuple(LabelledWords(place="", tokens=("x",) * len(row), labels=row) for row in labels)


def one_hot(labels: int, *chosen: int) -> np.ndarray:
    """Logits of words, of which the chosen label's is the highest."""
    logits: np.ndarray = np.eye(labels)[list(chosen)]
    return logits


def test_an_entity_is_right_only_as_a_whole() -> None:
    head = "token_classification"
    task = TokenClassification(labels=("O", "B-PER", "I-PER", "B-LOC", "I-LOC"))
    # Actual: PER over two words, then LOC; and PER over two words. Predicted: the first PER ends a word too early
    examples = words((1, 2, 0, 3), (1, 2))
    given = answers(one_hot(5, 1, 0, 0, 3), one_hot(5, 1, 2), targets=((0, 1, 2, 3), (0, 1)))
    # 2 entities are right, of 3 predicted and 3 actual; 5 of 6 words are right
    scores = values(task.scores(examples, given, given, reader_of(head)))
    assert scores == pytest.approx({"entity F1": 2 / 3, "token accuracy": 5 / 6})
    assert task.decisions(examples, given, reader_of(head)).tolist() == [1, 0, 0, 3, 1, 2]


def test_labels_that_are_not_of_entities_count_by_word() -> None:
    task = TokenClassification(labels=("O", "COMMA", "PERIOD"))
    examples = words((0, 1, 2, 0, 1))
    given = answers(one_hot(3, 0, 1, 1, 2, 0), targets=((0, 1, 2, 3, 4),))
    # 1 mark is right, of 3 predicted and 3 actual; 2 of 5 words are right
    scores = values(task.scores(examples, given, given, reader_of("token_classification")))
    assert scores == pytest.approx({"token F1": 1 / 3, "token accuracy": 2 / 5})


def test_words_that_were_cut_off_are_not_scored() -> None:
    task = TokenClassification(labels=("O", "COMMA", "PERIOD"))
    given = answers(one_hot(3, 1, 0), targets=((0, 2),))
    # Of the words 0 to 3 only the first and the third have a wordpiece within the longest input
    scores = values(task.scores(words((1, 2, 2, 2)), given, given, reader_of("token_classification")))
    assert scores == pytest.approx({"token F1": 2 / 3, "token accuracy": 1 / 2})


def test_masks_are_scored_by_their_best_word_and_its_likelihood() -> None:
    task = MaskedLM(labels=())
    row = Row(example=0, encodings=(), scored_positions=(1, 2), targets=(3, 0))
    logits = np.log(np.asarray([[9, 9, 9, 9], [1, 1, 1, 5], [1, 5, 1, 1], [9, 9, 9, 9]], dtype=np.float32))
    reduced = task.reduce(row, {"logits": logits})
    # The first mask's word is the best and has 5/8; the second's is not, and has 1/8
    assert reduced == pytest.approx(np.asarray([[3, 1], [np.log(8 / 5), np.log(8)]]), abs=1e-6)
    given = Answers(rows=(row,), arrays=(reduced,))
    examples = (MaskedText(place="", text="", targets=("a", "b")),)
    scores = values(task.scores(examples, given, given, reader_of("masked_lm")))
    assert scores == pytest.approx({"masked top-1 accuracy": 0.5, "pseudo-perplexity": (8 * 8 / 5) ** 0.5})
    assert task.decisions(examples, given, reader_of("masked_lm")).tolist() == [3, 1]


def test_the_masks_and_every_eighth_token_are_compared() -> None:
    encoding = reader_of("masked_lm").tokenizer.encode(["cat " * 17])[0]
    row = Row(example=0, encodings=(encoding,), scored_positions=(3, 8))
    assert MaskedLM(labels=()).compared_positions(row) == (0, 3, 8, 16)


def test_the_highest_choice_is_taken_of_as_many_as_there_are() -> None:
    task, reader = MultipleChoice(labels=()), reader_of("multiple_choice")
    examples = tuple(chosen_of(count, label) for count, label in ((2, 1), (4, 3), (3, 0)))
    given = by_choice(examples, [1, 2], [0, 1, 2, 3], [1, 2, 1.5])
    scores = values(task.scores(examples, given, given, reader))
    assert scores == pytest.approx({"accuracy": 2 / 3})
    assert task.decisions(examples, given, reader).tolist() == [1, 3, 1]


def chosen_of(count: int, label: int) -> Choice:
    """A question with `count` different choices."""
    return Choice(
        place="", context="a", choices=("good", "bad", "great", "movie", "film")[:count], label=label
    )


def by_choice(examples: tuple[Choice, ...], *arrays: object) -> Answers:
    """One score for each choice of each question."""
    task, reader = MultipleChoice(labels=()), reader_of("multiple_choice")
    rows = tuple(row for index, example in enumerate(examples) for row in task.rows(example, index, reader))
    return replace(answers(*arrays), rows=rows)


def test_choices_of_the_same_tokens_are_one() -> None:
    task, reader = MultipleChoice(labels=()), reader_of("multiple_choice")
    examples = tuple(
        Choice(place="", context="a", choices=("good", "Bad", "b\u00e0d"), label=label) for label in (1, 2, 0)
    )
    # Rounding makes the copies differ; the label names the first or the second of them
    given = by_choice(examples, [0, 1, 1 + 1e-9], [0, 1, 1], [0, 1 + 1e-9, 1])
    assert task.scores(examples, given, given, reader)[0].columns[:, 0].tolist() == [1, 1, 0]
    assert task.decisions(examples, given, reader).tolist() == [1, 1, 1]
    assert task.unjudged(given.rows) == ""
    # Two thirds of the probability are at the copies: the Brier score of a right answer is that of two choices
    even = task.calibration(examples[:2], by_choice(examples[:2], [0, 0, 0], [0, 0, 0]))
    assert even.value == pytest.approx((1 / 3**2 + 1 / 3**2) / 2)


def test_questions_whose_choices_all_read_the_same_are_named() -> None:
    task, reader = MultipleChoice(labels=()), reader_of("multiple_choice")
    long = Choice(place="", context="a", choices=("cat " * 99 + "good", "cat " * 99 + "bad"), label=1)
    rows = [row for example in (long, chosen_of(2, 0)) for row in task.rows(example, 0, reader)]
    assert task.unjudged(rows) == (
        "1 of 2 questions count as answered right by any model: it reads the same tokens in all their choices, as they "
        "are cut off."
    )


def embedded(task: Features, examples: tuple[MatchedText, ...], *arrays: object) -> Answers:
    """One embedding for each text and each match."""
    reader = reader_of("features")
    rows = [row for index, example in enumerate(examples) for row in task.rows(example, index, reader)]
    vectors = [np.asarray(array, dtype=np.float64) for array in arrays]
    return Answers(rows=tuple(rows), arrays=tuple(vectors))


def test_a_text_is_retrieved_where_its_own_match_is_the_nearest() -> None:
    task = Features(labels=())
    examples = tuple(MatchedText(place="", text="", match=match) for match in ("one", "two", None, "three"))
    given = embedded(task, examples, [1, 0], [0.8, 0.6], [0, 1], [0.6, 0.8], [0, 1], [0.8, 0.6], [0, 1])
    # Text, match: (1, 0) is nearest to (0.8, 0.6), its own; (0, 1) to (0, 1), not its own; (0.8, 0.6) to the first
    scores = values(task.scores(examples, given, given, reader_of("features")))
    assert scores == pytest.approx({"retrieval accuracy": 1 / 3, "embedding cosine": 1.0})
    assert task.decisions(examples, given, reader_of("features")).tolist() == [0, 2, 0]


def test_matches_of_the_same_tokens_are_one() -> None:
    task, reader = Features(labels=()), reader_of("features")
    # The first three are the same to the model, and so are the next two; rounding makes the copies differ
    matches = ("Cat", "cat", "c\u00e0t", "dog", "dog", "two")
    examples = tuple(MatchedText(place="", text=f"text {match}", match=match) for match in matches)
    cat, dog, two = [1, 0, 0], [0, 1, 0], [0, 0, 1]

    def rounded(*errors: float) -> Answers:
        texts = [cat, cat, cat, dog, dog, cat]
        pairs = zip(texts, [cat, cat, cat, dog, dog, two], errors, strict=True)
        return embedded(
            task,
            examples,
            *(vector for text, match, error in pairs for vector in (text, np.add(match, error))),
        )

    for given in (rounded(0, 1e-9, 0, 0, 1e-9, 0), rounded(0, 0, 1e-9, 1e-9, 0, 0)):
        # All but the last, whose text is nearest to a cat
        scores = values(task.scores(examples, given, given, reader))
        assert scores == pytest.approx({"retrieval accuracy": 5 / 6, "embedding cosine": 1.0})
        assert task.decisions(examples, given, reader).tolist() == [0, 0, 0, 1, 1, 0]


def test_with_one_match_in_other_spellings_nothing_is_retrieved() -> None:
    task, reader = Features(labels=()), reader_of("features")
    examples = tuple(MatchedText(place="", text=match, match=match) for match in ("cat", "CAT"))
    given = embedded(task, examples, [1, 0], [0, 1], [1, 0], [0, 1])
    assert list(values(task.scores(examples, given, given, reader))) == ["embedding cosine"]
    assert task.decisions(examples, given, reader).size == 0
    assert task.beside_other_truths(examples, given) is None


@pytest.mark.parametrize(
    ("matches", "reason"),
    [
        (("cat", "CAT", None), "the model reads the same tokens in all 2 matches, so"),
        (("cat " * 99, "CAT " * 98 + "dog"), "the same tokens in all 2 matches, as they are cut off, so"),
        (("cat", None), "there is one match, so"),
        (("cat", "dog", "dog"), ""),
        ((None, None), ""),
    ],
)
def test_matches_that_cannot_be_told_apart_are_said_not_to_be_judged(
    matches: tuple[str | None, ...], reason: str
) -> None:
    task, reader = Features(labels=()), reader_of("features")
    examples = [MatchedText(place="", text="one", match=match) for match in matches]
    rows = [row for index, example in enumerate(examples) for row in task.rows(example, index, reader)]
    sentences = task.unjudged(rows)
    assert reason in sentences
    assert bool(sentences) == bool(reason)


def test_a_text_is_not_asked_for_a_match_of_its_own_tokens() -> None:
    task, reader = Features(labels=()), reader_of("features")
    pairs = (("one", "One"), ("two", "dog"), ("cat", None), ("three", "cat"))
    examples = tuple(MatchedText(place="", text=text, match=match) for text, match in pairs)
    # The second text is nearest to its match, and the fourth to that of the first
    given = embedded(task, examples, [1, 0], [1, 0], [0, 1], [0, 1], [1, 0], [1, 0], [0.6, 0.8])
    assert values(task.scores(examples, given, given, reader))["retrieval accuracy"] == 0.5
    assert task.decisions(examples, given, reader).tolist() == [1, 0]
    assert task.unjudged(given.rows).startswith("1 of 3 texts were not asked for their match")


def test_where_every_match_has_the_tokens_of_its_text_nothing_is_retrieved() -> None:
    task, reader = Features(labels=()), reader_of("features")
    examples = tuple(MatchedText(place="", text=text, match=text.upper()) for text in ("cat", "dog"))
    given = embedded(task, examples, [1, 0], [1, 0], [0, 1], [0, 1])
    assert list(values(task.scores(examples, given, given, reader))) == ["embedding cosine"]
    assert task.decisions(examples, given, reader).size == 0
    assert task.beside_other_truths(examples, given) is None
    assert "the model reads the same tokens in all 2 texts as in their matches" in task.unjudged(given.rows)


def test_without_matches_the_cosine_with_eager_is_the_metric() -> None:
    task = Features(labels=())
    examples = tuple(MatchedText(place="", text="", match=None) for _ in range(2))
    eager, variant = answers([1, 0], [0, 1]), answers([0.6, 0.8], [0, 1])
    scores = values(task.scores(examples, variant, eager, reader_of("features")))
    assert scores == pytest.approx({"embedding cosine": 0.8})
    # Without eager's mean (0.5, 0.5): (0.1, 0.3) beside (0.5, -0.5), and the second text's are equal
    assert task.cosines(variant, eager).tolist() == pytest.approx([-0.1 / (0.1 * 0.5) ** 0.5, 1.0])
    assert task.decisions(examples, variant, reader_of("features")).size == 0


def test_what_all_texts_have_in_common_does_not_hide_how_they_differ() -> None:
    task = Features(labels=())
    random = np.random.default_rng(8)
    texts = random.normal(size=(50, 16))
    moved = texts + random.normal(size=texts.shape)
    texts[:, 3] = moved[:, 3] = 1000.0
    eager, variant = answers(*texts), answers(*moved)
    raw = (texts * moved).sum(axis=1) / np.linalg.norm(texts, axis=1) / np.linalg.norm(moved, axis=1)
    assert raw.min() > 0.9999
    assert task.cosines(variant, eager).min() < 0.9
    assert task.cosines(eager, eager) == pytest.approx(1.0)
    assert task.cosines(answers(texts[0]), answers(texts[0])) == pytest.approx(1.0)


def test_an_embedding_is_the_unit_vector_of_the_mean_over_tokens_without_padding() -> None:
    encoding = reader_of("features").tokenizer.encode(["cat"])[0]
    row = Row(example=0, encodings=(encoding,))
    hidden = np.asarray([[3, 0], [3, 6], [3, 6], [99, 99]], dtype=np.float32)
    task = Features(labels=())
    assert task.reduce(row, {"last_hidden_state": hidden}) == pytest.approx([0.6, 0.8])
    assert task.score_change(np.asarray([1.0, 0]), np.asarray([0, 1.0])) == pytest.approx(2**0.5)


def asked(*pairs: tuple[str, str, tuple[str, ...]]) -> tuple[Question, ...]:
    return tuple(
        Question(place="", question=question, context=context, answers=right)
        for question, context, right in pairs
    )


def pointing(task: QuestionAnswering, questions: tuple[Question, ...], *spans: tuple[int, int]) -> Answers:
    """Answers of a model that is sure of the context's words `spans[n]`, first and last, for question n."""
    rows, arrays = [], []
    for index, (question, (first, last)) in enumerate(zip(questions, spans, strict=True)):
        (row,) = task.rows(question, index, reader_of("question_answering"))
        encoding = row.encodings[0]
        context = [place for place, part in enumerate(encoding.sequence_ids) if part == 1]
        logits = np.full((2, len(encoding)), -20.0)
        logits[0, context[first]] = logits[1, context[last]] = 20
        rows.append(row)
        arrays.append(logits)
    return Answers(rows=tuple(rows), arrays=tuple(arrays))


def test_answers_are_scored_by_squads_rules() -> None:
    task = QuestionAnswering(labels=())
    questions = asked(
        ("who", "the dog won a game", ("dog",)),
        ("what", "the dog won a game", ("dog won",)),
        ("when", "the dog won a game", ("cat",)),
        ("which", "the dog won a game", ("cat", "won a game")),
    )
    given = pointing(task, questions, (0, 1), (0, 1), (0, 1), (2, 4))
    # Articles do not count: "the dog" is "dog". Then 1 of 1 and 2 words, none, and the second of two right answers
    scores = values(task.scores(questions, given, given, reader_of("question_answering")))
    assert scores == pytest.approx({"answer F1": (1 + 2 / 3 + 0 + 1) / 4, "exact match": 2 / 4})
    decisions = task.decisions(questions, given, reader_of("question_answering")).tolist()
    assert [(value >> 32, value & 0xFFFFFFFF) for value in decisions] == [(0, 7), (0, 7), (0, 7), (8, 18)]


def test_no_answer_is_right_where_there_is_none() -> None:
    task = QuestionAnswering(labels=())
    questions = asked(("who", "the dog won", ()), ("what", "the dog won", ()))
    one, none = (
        pointing(task, questions, (1, 1), (1, 1)),
        pointing(task, questions, (1, 1), (1, 1)),
    )
    for logits in none.arrays:
        logits[:, 0] = 40  # [CLS], which stands for no answer
    reader = reader_of("question_answering")
    assert values(task.scores(questions, one, one, reader))["exact match"] == 0
    assert values(task.scores(questions, none, none, reader))["exact match"] == 1


def test_questions_without_an_answer_are_a_class() -> None:
    task, reader = QuestionAnswering(labels=()), reader_of("question_answering")
    questions = asked(
        ("who", "the dog won", ("dog",)), ("what", "the dog won", ()), ("when", "the dog won", ())
    )
    given = pointing(task, questions, (1, 1), (1, 1), (1, 1))
    given.arrays[1][:, 0] = 40  # [CLS], which stands for no answer
    by_class = task.class_answers(questions, given, reader)
    assert by_class is not None
    assert by_class.labels == ("questions with an answer", "questions without an answer")
    assert by_class.predicted.argmax(axis=1).tolist() == [0, 1, 0]
    assert by_class.actual.argmax(axis=1).tolist() == [0, 1, 1]
    assert task.class_answers(questions[:1], given, reader) is None, "all have an answer"


def test_answers_need_no_variant_in_the_manifest() -> None:
    task = QuestionAnswering(labels=())
    whole = reader_of("question_answering")
    bare = replace(whole, manifest=replace(whole.manifest, variants=()))
    questions = asked(("who", "the dog won", ("dog",)))
    given = pointing(task, questions, (1, 1))
    assert values(task.scores(questions, given, given, bare))["exact match"] == 1


@pytest.mark.parametrize("words_of_context", [5, 70, 200])
def test_every_word_of_a_long_context_is_in_a_window(words_of_context: int) -> None:
    task, reader = QuestionAnswering(labels=()), reader_of("question_answering")
    (question,) = asked(("who", "cat " * words_of_context, ()))
    rows = task.rows(question, 0, reader)
    assert [row.part for row in rows] == list(range(len(rows)))
    covered = {
        start
        for row in rows
        for (start, _), part in zip(row.encodings[0].offsets, row.encodings[0].sequence_ids, strict=True)
        if part == 1
    }
    assert covered == set(range(0, 4 * words_of_context, 4))
    assert all(batch.feeds["input_ids"].shape[1] <= reader.longest for batch in batches(rows, reader))


def test_answers_by_class_are_those_of_texts_words_and_labels() -> None:
    one = SequenceClassification(labels=("a", "b")).class_answers(
        classified((1, 0), (0, 1)), answers([2, 1], [3, 1]), reader_of("sequence_classification")
    )
    assert one is not None
    assert one.predicted.tolist() == [[True, False], [True, False]]
    assert one.actual.tolist() == [[True, False], [False, True]]
    several = SequenceClassification(
        labels=("a", "b"), problem_type="multi_label_classification"
    ).class_answers(
        classified((1, 1), (0, 0)), answers([2, -1], [3, 1]), reader_of("sequence_classification")
    )
    assert several is not None
    assert several.predicted.tolist() == [[True, False], [True, True]]
    given = answers(one_hot(3, 1, 0), one_hot(3, 2), targets=((0, 2), (0,)))
    tokens = TokenClassification(labels=("O", "X", "Y")).class_answers(
        words((1, 2, 2), (0,)), given, reader_of("token_classification")
    )
    assert tokens.texts.tolist() == [0, 0, 1]
    assert tokens.predicted.argmax(axis=1).tolist() == [1, 0, 2]
    assert tokens.actual.argmax(axis=1).tolist() == [1, 2, 0]
    assert (
        SequenceClassification(labels=("grade",)).class_answers(
            classified(1.0), answers([2]), reader_of("sequence_classification")
        )
        is None
    )


def test_briers_score_is_half_the_squared_distance_of_the_probabilities() -> None:
    half, sure = [0.0, 0.0], [50.0, 0.0]
    one = SequenceClassification(labels=("a", "b")).calibration(
        classified((1, 0), (1, 0), (0, 1)), answers(half, sure, sure)
    )
    # A half and a half is off by 1/4, right and sure by 0, wrong and sure by 1
    assert one is not None
    assert one.value == pytest.approx((0.25 + 0 + 1) / 3)
    assert not one.higher_is_better
    several = SequenceClassification(
        labels=("a", "b"), problem_type="multi_label_classification"
    ).calibration(classified((1, 0)), answers([0.0, 50.0]))
    assert several is not None
    assert several.value == pytest.approx((0.25 + 1) / 2)
    given = answers([half, sure], [sure], targets=((0, 1), (0,)))
    tokens = TokenClassification(labels=("O", "X")).calibration(words((0, 0), (1,)), given)
    assert tokens.value == pytest.approx((0.25 + 0 + 1) / 3)
    choices = (chosen_of(4, 1),) * 2
    even = MultipleChoice(labels=()).calibration(choices, by_choice(choices, [0] * 4, [0, 50, 0, 0]))
    assert even.value == pytest.approx((0.75**2 + 3 * 0.25**2) / 2 / 2)


def test_beside_other_truths_answers_are_right_by_chance() -> None:
    count, random = 300, np.random.default_rng(9)
    truths = random.integers(0, 3, count)
    logits = np.eye(3)[truths]
    head = "sequence_classification"
    task = SequenceClassification(labels=("a", "b", "c"))
    examples = classified(*(tuple(int(value) for value in row) for row in logits))
    given = answers(*logits)
    others, same = task.beside_other_truths(examples, given)
    assert same is given
    assert sorted(example.truth for example in others) == sorted(example.truth for example in examples)
    # A third, and three standard errors of 300
    assert task.scores(others, given, given, reader_of(head))[0].value == pytest.approx(1 / 3, abs=0.082)

    chosen = tuple(chosen_of(3, int(truth)) for truth in truths)
    choice = MultipleChoice(labels=())
    moved, _ = choice.beside_other_truths(chosen, given)
    by_question = by_choice(chosen, *logits)
    assert choice.scores(moved, by_question, by_question, reader_of("multiple_choice"))[
        0
    ].value == pytest.approx(1 / 3, abs=0.082)

    tokens = TokenClassification(labels=("A", "B", "C"))
    by_word = answers(*logits.reshape(100, 3, 3), targets=((0, 1, 2),) * 100)
    sentences = words(*(tuple(int(truth) for truth in row) for row in truths.reshape(100, 3)))
    shuffled, _ = tokens.beside_other_truths(sentences, by_word)
    score = tokens.scores(shuffled, by_word, by_word, reader_of("token_classification"))[0]
    assert score.value == pytest.approx(1 / 3, abs=0.082)

    masked = MaskedLM(labels=())
    masks = answers(
        *(np.asarray([[truth], [0.0]]) for truth in truths), targets=tuple((int(truth),) for truth in truths)
    )
    texts = tuple(MaskedText(place="", text="", targets=("x",)) for _ in truths)
    _, exchanged = masked.beside_other_truths(texts, masks)
    assert masked.scores(texts, masks, masks, reader_of("masked_lm"))[0].value == 1
    assert masked.scores(texts, exchanged, exchanged, reader_of("masked_lm"))[0].value == pytest.approx(
        1 / 3, abs=0.082
    )

    features = Features(labels=())
    pairs = tuple(MatchedText(place="", text="", match=str(number)) for number in range(count))
    vectors = random.normal(size=(count, 16))
    given = embedded(features, pairs, *np.repeat(vectors, 2, axis=0))
    beside = features.beside_other_truths(pairs, given)
    assert beside is not None
    assert features.scores(pairs, given, given, reader_of("features"))[0].value > 0.9
    assert features.scores(pairs, beside[1], beside[1], reader_of("features"))[0].value < 0.05
    assert features.beside_other_truths(pairs[:1], embedded(features, pairs[:1], [1, 0], [1, 0])) is None


def test_questions_beside_other_answers_are_answered_by_chance() -> None:
    task = QuestionAnswering(labels=())
    contexts = ("the dog won a game", "a cat lost two games", "the king met a queen")
    right = ("dog", "cat", "king")
    questions = asked(*(("who", context, (word,)) for context, word in zip(contexts, right, strict=True)))
    given = pointing(task, questions, (1, 1), (1, 1), (1, 1))
    others, _ = task.beside_other_truths(questions, given)
    assert {question.answers for question in others} == {(word,) for word in right}
    reader = reader_of("question_answering")
    assert task.scores(questions, given, given, reader)[0].value == 1
    assert task.scores(others, given, given, reader)[0].value < 1
