"""Examples are answered look by look, and no more than are needed to decide, on real tiny releases."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import distilforge
import numpy as np
import pytest
from distilforge.tokenizer import Tokenizer

from model_src import heads
from tests.quantized_release import change_weight
from tests.runtime_release import LABELS, copied, published, read_manifest
from tests.validation_runs import GATES, evaluation, failed, validated
from validation.answers.accuracy import Comparison, Evaluation
from validation.answers.batches import Bools, Feeds, Run
from validation.gates import LIMITS, Gates
from validation.statistics.sequential import Look, single_look
from validation.tasks.base import Floats, ReleaseReader
from validation.validate import encode_evaluation, float32_run

HEAD = "sequence_classification"
LOOKS = tuple(Look(examples=end, of=40, critical=1.7) for end in (10, 20, 40))


@dataclass(frozen=True, slots=True, kw_only=True)
class CountingRun:
    """A run that counts the rows that it answers."""

    run: Run
    """The run that answers."""
    rows: list[int] = field(default_factory=list)
    """The rows of each batch."""

    @property
    def count(self) -> int:
        return sum(self.rows)

    def __call__(self, feeds: Feeds, kept: Bools | None = None) -> Mapping[str, Floats]:
        self.rows.append(len(feeds["input_ids"]))
        return self.run(feeds)


def answering(head: str) -> Run:
    """The release of `head`, as a run."""
    return float32_run(distilforge.open(published(head, LABELS.get(head, ())).release, threads=1))


def evaluated(head: str, data: Path | None) -> Evaluation:
    release = published(head, LABELS.get(head, ())).release
    reader = ReleaseReader(manifest=read_manifest(release), tokenizer=Tokenizer(release), vocabulary=10_000)
    encoded = encode_evaluation(data, reader)
    assert encoded is not None
    return encoded


def compared(
    examples: Evaluation,
    eager: CountingRun,
    variants: Mapping[str, Run],
    decided: Callable[[str, Comparison], bool],
    reported: list[tuple[int, int]] | None = None,
) -> dict[str, Comparison]:
    def progress(done: int, total: int) -> None:
        if reported is not None:
            reported.append((done, total))

    tallies = dict.fromkeys(variants, ())
    return examples.compare(
        eager, variants, tallies, looks=LOOKS, workers=2, progress=progress, decided=decided
    )


def test_a_decided_variant_answers_no_more_and_eager_stops_with_the_last(tmp_path: Path) -> None:
    run = answering(HEAD)
    eager, early, late = CountingRun(run=run), CountingRun(run=run), CountingRun(run=run)
    ends = {"early": 10, "late": 20}
    reported: list[tuple[int, int]] = []
    comparisons = compared(
        evaluated(HEAD, evaluation(HEAD, tmp_path)),
        eager,
        {"early": early, "late": late},
        lambda name, comparison: comparison.look.examples == ends[name],
        reported,
    )
    assert (early.count, late.count, eager.count) == (10, 20, 20)
    assert {name: comparison.look for name, comparison in comparisons.items()} == {
        "early": LOOKS[0],
        "late": LOOKS[1],
    }
    assert [comparison.decisions for comparison in comparisons.values()] == [10, 20]
    assert reported[-1] == (20, 40)


@pytest.mark.parametrize("head", heads.names())
def test_the_last_of_several_looks_equals_one_look_at_all_examples(head: str, tmp_path: Path) -> None:
    run = answering(head)

    def other(feeds: Feeds) -> Mapping[str, Floats]:
        return {name: np.roll(array, 1, axis=-1) for name, array in run(feeds).items()}

    examples = evaluated(head, evaluation(head, tmp_path))
    by_looks = compared(examples, CountingRun(run=run), {"other": other}, lambda name, comparison: False)[
        "other"
    ]
    once = examples.compare(
        CountingRun(run=run),
        {"other": other},
        {"other": ()},
        looks=(single_look(40, 0.95),),
        workers=1,
        progress=lambda done, total: None,
    )["other"]
    assert (by_looks.agreed, by_looks.decisions) == (once.agreed, once.decisions)
    for metric, expected in zip(by_looks.metrics, once.metrics, strict=True):
        assert (metric.name, metric.examples) == (expected.name, expected.examples)
        # Other batches pad to other lengths, which moves a logit by some 1e-7
        assert metric.eager == pytest.approx(expected.eager, abs=1e-5)
        assert metric.variant == pytest.approx(expected.variant, abs=1e-5)


@pytest.mark.parametrize("head", heads.names())
def test_the_examples_of_a_look_are_scored_as_if_there_were_no_others(head: str, tmp_path: Path) -> None:
    data = evaluation(head, tmp_path)
    run = answering(head)

    def other(feeds: Feeds) -> Mapping[str, Floats]:
        return {name: np.roll(array, 1, axis=-1) for name, array in run(feeds).items()}

    first = compared(evaluated(head, data), CountingRun(run=run), {"other": other}, lambda *_: True)["other"]
    lines = data.read_text(encoding="utf-8").splitlines()
    places = sorted(np.random.default_rng(0).permutation(40)[:10])
    data.write_text("".join(f"{lines[place]}\n" for place in places), encoding="utf-8")
    alone = evaluated(head, data).compare(
        CountingRun(run=run),
        {"other": other},
        {"other": ()},
        looks=(single_look(10, 0.95),),
        workers=1,
        progress=lambda done, total: None,
    )["other"]
    assert (first.agreed, first.decisions) == (alone.agreed, alone.decisions)
    for metric, expected in zip(first.metrics, alone.metrics, strict=True):
        assert (metric.name, metric.examples) == (expected.name, expected.examples)
        assert metric.variant == pytest.approx(expected.variant, abs=1e-5)


def test_sorted_data_do_no_harm(tmp_path: Path) -> None:
    data = evaluation(HEAD, tmp_path)
    run = answering(HEAD)
    lines = sorted(data.read_text(encoding="utf-8").splitlines(), key=len)
    data.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    examples = evaluated(HEAD, data)
    longer = sorted(row.tokens for row in examples.rows)[20]

    def other(feeds: Feeds) -> Mapping[str, Floats]:
        """Another answer to the longer half of the texts, which is the second half of the data."""
        changed = (feeds["attention_mask"].sum(axis=1) >= longer)[:, None]
        return {
            name: np.where(changed, np.roll(array, 1, axis=-1), array) for name, array in run(feeds).items()
        }

    first = compared(examples, CountingRun(run=run), {"other": other}, lambda *_: True)["other"]
    assert first.decisions == 10
    # In the data's own order all ten would agree; of a random half, fewer than 2 or more than 8 would in 2% of orders
    assert 2 <= first.agreed <= 8


def test_an_error_ends_the_comparison(tmp_path: Path) -> None:
    def broken(feeds: Feeds) -> Mapping[str, Floats]:
        raise RuntimeError("device lost")

    eager = CountingRun(run=answering(HEAD))
    with pytest.raises(RuntimeError, match="device lost"):
        compared(evaluated(HEAD, evaluation(HEAD, tmp_path)), eager, {"broken": broken}, lambda *_: False)
    assert eager.count <= 10


def test_accuracy_is_looked_at_once_without_labels_and_where_scores_need_all_examples(tmp_path: Path) -> None:
    gates = Gates(margin=0.9)
    assert [look.examples for look in evaluated(HEAD, evaluation(HEAD, tmp_path)).looks(gates)] == [
        13,
        27,
        40,
    ]
    unlabelled = evaluated(HEAD, None)
    assert [look.examples for look in unlabelled.looks(gates)] == [len(unlabelled.examples)]
    assert [
        look.examples for look in evaluated("features", evaluation("features", tmp_path)).looks(gates)
    ] == [40]
    assert len(evaluated(HEAD, evaluation(HEAD, tmp_path)).looks(replace(gates, looks=1))) == 1


def answer_as_eager(data: Path) -> None:
    """Give each text the label that the model gives, and so labels that fit it."""
    session = distilforge.open(
        published(HEAD, LABELS[HEAD]).release, head=distilforge.SequenceClassification, threads=1
    )
    lines = [json.loads(line) for line in data.read_text(encoding="utf-8").splitlines()]
    answers = session([line["text"] for line in lines])
    data.write_text(
        "".join(
            json.dumps(line | {"label": answer.label}) + "\n"
            for line, answer in zip(lines, answers, strict=True)
        ),
        encoding="utf-8",
    )


def test_a_sound_variant_stops_early_and_a_failing_one_answers_all(tmp_path: Path) -> None:
    data = evaluation(HEAD, tmp_path)
    answer_as_eager(data)
    # 13 examples cannot show a loss of 0.01 of the Brier score
    limits = replace(LIMITS["fp32"], calibration=None)
    gates = replace(GATES, looks=3, margin=0.9, limits={"fp32": limits})
    (sound,) = validated(HEAD, published(HEAD, LABELS[HEAD]).release, data, gates).variants
    # At the first look, 13 examples do not show that their labels fit
    assert sound.metrics[0].examples == 27
    release = copied(HEAD, tmp_path / "release")
    change_weight(release, "classifier.bias", lambda bias: bias + np.float32([0, 0.01, 0]))
    (faulty,) = validated(HEAD, release, data, gates).variants
    assert "largest error on evaluation texts" in failed(faulty)
    assert faulty.metrics[0].examples == 40
