"""Examples are answered look by look, and no more of them than it takes to decide, on real tiny releases."""

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
from validation.accuracy import Comparison, Evaluation
from validation.batches import Bools, Feeds, Run
from validation.gate import Gates
from validation.judge import Found, decided
from validation.metrics import mean
from validation.sequential import Look, single_look
from validation.tasks.base import Floats, Served
from validation.validate import encode, floats

HEAD = "sequence_classification"
LOOKS = tuple(Look(examples=end, of=40, critical=1.7) for end in (10, 20, 40))


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A run that counts the texts it was asked."""

    run: Run
    texts: list[int] = field(default_factory=list)

    @property
    def count(self) -> int:
        return sum(self.texts)

    def __call__(self, feeds: Feeds, kept: Bools | None = None) -> Mapping[str, Floats]:
        self.texts.append(len(feeds["input_ids"]))
        return self.run(feeds)


def answering(head: str) -> Run:
    """The release of `head`, as a run."""
    return floats(distilforge.open(published(head, LABELS.get(head, ())).release, threads=1))


def evaluated(head: str, data: Path | None) -> Evaluation:
    release = published(head, LABELS.get(head, ())).release
    served = Served(manifest=read_manifest(release), tokenizer=Tokenizer(release), vocabulary=10_000)
    encoded = encode(data, served)
    assert encoded is not None
    return encoded


def compared(
    examples: Evaluation,
    eager: Asked,
    variants: Mapping[str, Run],
    when: Callable[[str, Comparison], bool],
    told: list[tuple[int, int]] | None = None,
) -> dict[str, Comparison]:
    def tell(done: int, of: int) -> None:
        if told is not None:
            told.append((done, of))

    tallies = dict.fromkeys(variants, ())
    return examples.compare(eager, variants, tallies, looks=LOOKS, workers=2, progress=tell, decided=when)


def test_who_is_decided_answers_no_more_and_eager_stops_with_the_last(tmp_path: Path) -> None:
    run = answering(HEAD)
    eager, early, late = Asked(run=run), Asked(run=run), Asked(run=run)
    ends = {"early": 10, "late": 20}
    told: list[tuple[int, int]] = []
    found = compared(
        evaluated(HEAD, evaluation(HEAD, tmp_path)),
        eager,
        {"early": early, "late": late},
        lambda name, comparison: comparison.look.examples == ends[name],
        told,
    )
    assert (early.count, late.count, eager.count) == (10, 20, 20)
    assert {name: comparison.look for name, comparison in found.items()} == {
        "early": LOOKS[0],
        "late": LOOKS[1],
    }
    assert [comparison.decisions for comparison in found.values()] == [10, 20]
    assert told[-1] == (20, 40)


@pytest.mark.parametrize("head", heads.names())
def test_the_last_look_is_what_one_look_at_all_examples_is(head: str, tmp_path: Path) -> None:
    run = answering(head)

    def other(feeds: Feeds) -> Mapping[str, Floats]:
        return {name: np.roll(array, 1, axis=-1) for name, array in run(feeds).items()}

    examples = evaluated(head, evaluation(head, tmp_path))
    by_looks = compared(examples, Asked(run=run), {"other": other}, lambda name, comparison: False)["other"]
    once = examples.compare(
        Asked(run=run),
        {"other": other},
        {"other": ()},
        looks=(single_look(40, 0.95),),
        workers=1,
        progress=lambda done, of: None,
    )["other"]
    assert (by_looks.agreed, by_looks.decisions) == (once.agreed, once.decisions)
    for some, expected in zip(by_looks.metrics, once.metrics, strict=True):
        assert (some.name, some.examples) == (expected.name, expected.examples)
        # Other batches pad to other lengths, which moves a logit by some 1e-7
        assert some.eager == pytest.approx(expected.eager, abs=1e-5)
        assert some.variant == pytest.approx(expected.variant, abs=1e-5)


@pytest.mark.parametrize("head", heads.names())
def test_the_examples_of_a_look_are_scored_as_if_they_were_all_there_is(head: str, tmp_path: Path) -> None:
    data = evaluation(head, tmp_path)
    run = answering(head)

    def other(feeds: Feeds) -> Mapping[str, Floats]:
        return {name: np.roll(array, 1, axis=-1) for name, array in run(feeds).items()}

    first = compared(evaluated(head, data), Asked(run=run), {"other": other}, lambda *_: True)["other"]
    lines = data.read_text(encoding="utf-8").splitlines()
    places = sorted(np.random.default_rng(0).permutation(40)[:10])
    data.write_text("".join(f"{lines[place]}\n" for place in places), encoding="utf-8")
    alone = evaluated(head, data).compare(
        Asked(run=run),
        {"other": other},
        {"other": ()},
        looks=(single_look(10, 0.95),),
        workers=1,
        progress=lambda done, of: None,
    )["other"]
    assert (first.agreed, first.decisions) == (alone.agreed, alone.decisions)
    for some, expected in zip(first.metrics, alone.metrics, strict=True):
        assert (some.name, some.examples) == (expected.name, expected.examples)
        assert some.variant == pytest.approx(expected.variant, abs=1e-5)


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

    first = compared(examples, Asked(run=run), {"other": other}, lambda *_: True)["other"]
    assert first.decisions == 10
    # In the data's own order all ten would agree; of a random half, fewer than 2 or more than 8 would in 2% of orders
    assert 2 <= first.agreed <= 8


def test_an_error_ends_all(tmp_path: Path) -> None:
    def broken(feeds: Feeds) -> Mapping[str, Floats]:
        raise RuntimeError("device lost")

    eager = Asked(run=answering(HEAD))
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


def scored(wrong: int, of: int = 500) -> Comparison:
    """A variant that is wrong where eager is right, `wrong` times."""
    lost = np.ones(of)
    lost[:wrong] = 0
    eager, variant = (mean("accuracy", values) for values in (np.ones(of), lost))
    look = Look(examples=of, of=1500, critical=2.341)
    return Comparison(look=look, eager=(eager,), variant=(variant,), agreed=of - wrong, decisions=of)


@pytest.mark.parametrize(
    ("wrong", "of", "known"),
    [(0, 500, True), (1, 500, False), (9, 500, False), (40, 500, True), (1, 1000, True)],
)
def test_a_variant_is_decided_by_a_loss_within_the_margin_or_surely_beyond_it(
    wrong: int, of: int, known: bool
) -> None:
    (variant,) = read_manifest(published(HEAD, LABELS[HEAD]).release).variants
    found = Found(variant=variant, tallies=(), compared=scored(wrong, of), stability=())
    assert decided(found, Gates()) == known


def test_a_variant_whose_labels_are_too_often_others_is_not_decided_by_its_loss() -> None:
    (variant,) = read_manifest(published(HEAD, LABELS[HEAD]).release).variants
    labels = replace(scored(0), classifies=True, agreed=490)
    found = Found(variant=variant, tallies=(), compared=labels, stability=())
    assert not decided(found, Gates())
    assert decided(replace(found, compared=replace(labels, agreed=500)), Gates())


def test_progress_says_who_is_decided_and_a_failing_variant_answers_all(tmp_path: Path) -> None:
    data = evaluation(HEAD, tmp_path)
    gates = replace(GATES, looks=3, margin=0.9)
    (sound,) = validated(HEAD, published(HEAD, LABELS[HEAD]).release, data, gates).variants
    assert sound.metrics[0].examples == 13
    release = copied(HEAD, tmp_path / "release")
    change_weight(release, "classifier.bias", lambda bias: bias + np.float32([0, 0.01, 0]))
    (faulty,) = validated(HEAD, release, data, gates).variants
    assert "largest error on evaluation texts" in failed(faulty)
    assert faulty.metrics[0].examples == 40
