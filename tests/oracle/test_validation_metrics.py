"""Every metric equals its library's on the whole set, and on resamples of it."""

import numpy as np
import pytest
import scipy.stats
import seqeval.metrics
import sklearn.metrics
import torch
from distilforge.manifest import Manifest
from torchmetrics.text import SQuAD

from tests.runtime_release import published, read_manifest
from validation.statistics import metrics
from validation.statistics.metrics import Array, Score
from validation.tasks import find
from validation.tasks.base import Answers, Row

N, LABELS = 400, 5


def resampled(score: Score, rows: np.ndarray) -> float:
    return float(score.of_sums(score.columns[rows].sum(axis=0)))


@pytest.fixture
def drawn() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Predictions and truths with a rare label and one that never occurs, and a resample's rows."""
    random = np.random.default_rng(0)
    actual = random.choice(LABELS, N, p=[0.6, 0.3, 0.09, 0.01, 0.0])
    predicted = np.where(random.random(N) < 0.7, actual, random.choice(LABELS - 1, N))
    return predicted, actual, random.choice(N, N)


def test_accuracy_and_macro_f1_are_scikit_learns(drawn: tuple[np.ndarray, ...]) -> None:
    predicted, actual, rows = drawn
    accuracy = metrics.mean("accuracy", (predicted == actual).astype(np.float64))
    assert accuracy.value == pytest.approx(sklearn.metrics.accuracy_score(actual, predicted))
    macro = metrics.macro_f1("macro F1", predicted, actual, LABELS)
    for chosen in (np.arange(N), rows, rows[:7]):
        expected = sklearn.metrics.f1_score(
            actual[chosen], predicted[chosen], average="macro", zero_division=0
        )
        assert resampled(macro, chosen) == pytest.approx(expected)


def test_micro_f1_over_several_labels_is_scikit_learns() -> None:
    random = np.random.default_rng(1)
    actual, predicted = random.random((2, N, LABELS)) < 0.3
    counts = ((actual & predicted).sum(axis=1), predicted.sum(axis=1), actual.sum(axis=1))
    score = metrics.micro_f1("micro F1", *(count.astype(np.float64) for count in counts))
    assert score.value == pytest.approx(sklearn.metrics.f1_score(actual, predicted, average="micro"))


def test_r2_and_pearson_are_scikit_learns_and_scipys() -> None:
    random = np.random.default_rng(2)
    actual = 1000 + random.normal(size=N)
    predicted = actual + random.normal(scale=0.5, size=N)
    rows = random.choice(N, N)
    r2, pearson = metrics.r2("R2", predicted, actual), metrics.pearson("r", predicted, actual)
    for chosen in (np.arange(N), rows):
        assert resampled(r2, chosen) == pytest.approx(
            sklearn.metrics.r2_score(actual[chosen], predicted[chosen])
        )
        expected = scipy.stats.pearsonr(actual[chosen], predicted[chosen]).statistic
        assert resampled(pearson, chosen) == pytest.approx(expected)
    constant = np.ones(5)
    assert metrics.r2("R2", constant, constant).value == sklearn.metrics.r2_score(constant, constant) == 1.0
    assert (
        metrics.r2("R2", constant + 1, constant).value
        == sklearn.metrics.r2_score(constant, constant + 1)
        == 0.0
    )


def test_perplexity_is_exp_of_torchs_cross_entropy() -> None:
    logits = torch.randn(N, 30, dtype=torch.float64)
    targets = torch.randint(30, (N,))
    losses = torch.nn.functional.cross_entropy(logits, targets, reduction="none")
    score = metrics.perplexity("pseudo-perplexity", losses.numpy(), np.ones(N))
    assert score.value == pytest.approx(float(torch.nn.functional.cross_entropy(logits, targets).exp()))


def token_scores(labels: tuple[str, ...]) -> tuple[list[list[str]], list[list[str]], tuple[Score, ...]]:
    """Random sentences, predicted and actual, and what the task makes of them."""
    random = np.random.default_rng(3)
    module = find("token_classification")
    task = module(labels=labels)
    from validation.tasks.token_classification import LabelledWords

    examples, predictions, arrays, rows = [], [], [], []
    for index in range(60):
        length = int(random.integers(1, 12))
        actual = random.integers(len(labels), size=length)
        predicted = np.where(random.random(length) < 0.7, actual, random.integers(len(labels), size=length))
        words = tuple("x" * length)
        examples.append(LabelledWords(place="", tokens=words, labels=tuple(int(value) for value in actual)))
        predictions.append(predicted)
        arrays.append(np.eye(len(labels))[predicted])
        rows.append(Row(example=index, encodings=(), targets=tuple(range(length))))
    answers = Answers(rows=tuple(rows), arrays=tuple(arrays))
    named = [
        [[labels[int(value)] for value in side] for side in sides]
        for sides in (predictions, [example.labels for example in examples])
    ]
    return named[0], named[1], task.scores(examples, answers, answers, reader=None)  # type: ignore[arg-type]


def test_entity_f1_is_seqevals() -> None:
    predicted, actual, (f1, accuracy) = token_scores(("O", "B-PER", "I-PER", "B-LOC", "I-LOC"))
    assert f1.name == "entity F1"
    assert f1.value == pytest.approx(seqeval.metrics.f1_score(actual, predicted))
    assert accuracy.value == pytest.approx(seqeval.metrics.accuracy_score(actual, predicted))


def test_token_f1_is_scikit_learns_over_the_labels_other_than_o() -> None:
    labels = ("O", "COMMA", "PERIOD")
    predicted, actual, (f1, _) = token_scores(labels)
    assert f1.name == "token F1"
    flat = [[label for sentence in side for label in sentence] for side in (actual, predicted)]
    assert f1.value == pytest.approx(
        sklearn.metrics.f1_score(*flat, labels=list(labels[1:]), average="micro")
    )


def test_answers_are_the_sessions_and_scored_as_torchmetrics_scores_them() -> None:
    import distilforge
    from distilforge.tokenizer import Tokenizer

    from validation.answers.accuracy import Evaluation
    from validation.answers.batches import batches
    from validation.tasks.base import ReleaseReader
    from validation.tasks.question_answering import Question

    release = published("question_answering").release
    manifest: Manifest = read_manifest(release)
    tokenizer = Tokenizer(release)
    session = distilforge.open(release, head=distilforge.QuestionAnswering)
    contexts = ("good movie and the food", "the king of the city " * 25, "a river")
    questions = tuple(
        Question(place="", question="what is it", context=context, answers=answers)
        for context, answers in zip(contexts, (("the food", "movie"), ("king of",), ()), strict=True)
    )
    reader = ReleaseReader(manifest=manifest, tokenizer=tokenizer, vocabulary=10_000)
    task = find("question_answering")(labels=manifest.labels)
    evaluated = Evaluation.of(task, questions, reader)
    assert len(evaluated.rows) > len(questions), "one context needs several windows"
    arrays: dict[int, Array] = {}
    for batch in batches(evaluated.rows, reader):
        outputs = session.run(batch.feeds)
        for index, position in enumerate(batch.positions):
            row = {name: array[index].astype(np.float32) for name, array in outputs.items()}
            arrays[position] = task.reduce(evaluated.rows[position], row)
    answers = Answers(rows=evaluated.rows, arrays=tuple(arrays[index] for index in range(len(arrays))))
    f1, exact = task.scores(questions, answers, answers, reader)

    direct = session([("what is it", context) for context in contexts], handle_impossible_answer=True)
    oracle = SQuAD()
    oracle.update(
        [{"prediction_text": answer.text, "id": str(index)} for index, answer in enumerate(direct)],
        [
            {"answers": {"text": list(question.answers) or [""], "answer_start": [0]}, "id": str(index)}
            for index, question in enumerate(questions)
        ],
    )
    expected = oracle.compute()
    assert f1.value == pytest.approx(float(expected["f1"]) / 100, abs=1e-6)
    assert exact.value == pytest.approx(float(expected["exact_match"]) / 100, abs=1e-6)
    decided = task.decisions(questions, answers, reader)
    assert [(int(value) >> 32, int(value) & 0xFFFFFFFF) for value in decided] == [
        (answer.start, answer.end) for answer in direct
    ]
