"""The report on one variant: which checks it has, in which order, and when it need not answer more examples."""

from dataclasses import replace

import numpy as np
import pytest
from distilforge.manifest import PassRecord, Variant

from validation.answers.accuracy import Comparison
from validation.answers.agreement import Tally, difference
from validation.gates import LIMITS, Gates, Limits
from validation.judgement.judge import WIDENED, Observations, decided, judge, judge_answers, shows_loss
from validation.reports.report import AGREEMENT, Stability
from validation.statistics.chance import renaming
from validation.statistics.classes import ClassAnswers, class_losses
from validation.statistics.metrics import mean
from validation.statistics.sequential import Look

ALL_LIMITS = Limits(error=0.1, noise=0.2, agreement=0.9, cosine=0.9, shift=0.1, flips=0.1)
STABILITY = tuple(
    Stability(way=way, texts=24, largest=0.01, changed=1, decisions=24) for way in ("padded", "batched")
)
DYNAMIC = (PassRecord(name="int8_dynamic", rewrites=12),)


def variant(precision: str = "fp32", passes: tuple[PassRecord, ...] = ()) -> Variant:
    return Variant(target="onnxruntime-cpu", precision=precision, files=(), passes=passes)


def tally(inputs: str, output: str = "logits", error: float = 0.0, broken: int = 0) -> Tally:
    """A tally of one batch whose last value is off by `error`, with `broken` values that are NaN."""
    eager = np.arange(12, dtype=np.float32).reshape(4, 3)
    values = eager.copy()
    values[-1, -1] += np.float32(error)
    values.flat[:broken] = np.nan
    whole = Tally(inputs, output, ("batch", "labels"))
    mask = np.ones((4, 2), dtype=np.int64)
    whole.add(difference(eager, values, {"input_ids": mask, "attention_mask": mask}, whole.axes))
    return whole


def comparison(wrong: int = 0, of: int = 500) -> Comparison:
    """A variant that is wrong where eager is right, `wrong` times, at the first of three looks."""
    right = np.ones(of)
    lost = right.copy()
    lost[:wrong] = 0
    return Comparison(
        look=Look(examples=of, of=1500, critical=2.341),
        eager=(mean("accuracy", right),),
        variant=(mean("accuracy", lost),),
        agreed=of - wrong,
        decisions=of,
    )


CLASSIFIED = replace(comparison(), classifies=True)
EMBEDDED = replace(CLASSIFIED, cosines=(1.0,) * 500)


def observed(
    compared: Comparison | None = None,
    *,
    tallies: tuple[Tally, ...] = (),
    stability: tuple[Stability, ...] = (),
    of: Variant | None = None,
    obstacle: str = "",
) -> Observations:
    return Observations(
        variant=of or variant(), tallies=tallies, compared=compared, stability=stability, obstacle=obstacle
    )


def test_checks_come_in_the_order_of_the_readme() -> None:
    gates = Gates(limits={"fp32": ALL_LIMITS})
    observations = observed(
        EMBEDDED,
        tallies=(tally("generated inputs"), tally("evaluation texts")),
        stability=STABILITY,
    )
    assert [verdict.kind for verdict in judge_answers(observations, gates)] == [
        "finite",
        *("error", "noise") * 2,
        "loss",
        "agreement",
        "cosine",
        *("shift", "flips") * 2,
    ]


def labelled(lost: int = 0, frauds: int = 50, of: int = 500, *, sure: float = 0.9) -> Comparison:
    """A variant that no longer finds the first `lost` of the frauds, and that is `sure` of what is right."""
    actual = np.asarray([1] * frauds + [0] * (of - frauds))
    predicted = actual.copy()
    predicted[:lost] = 0
    eager, variant = (
        ClassAnswers.of_one_label(("ok", "fraud"), np.arange(of), given, actual)
        for given in (actual, predicted)
    )
    return replace(
        CLASSIFIED,
        look=Look(examples=of, of=of, critical=1.645),
        eager=(mean("accuracy", np.ones(of)),),
        variant=(mean("accuracy", (predicted == actual).astype(np.float64)),),
        agreed=of - lost,
        decisions=of,
        chance=mean("accuracy", (np.arange(of) % 2).astype(np.float64)),
        renaming=renaming(eager),
        class_losses=class_losses(eager, variant),
        calibration=(
            mean("Brier score", np.full(of, 0.01), higher_is_better=False),
            mean("Brier score", np.full(of, (1 - sure) ** 2), higher_is_better=False),
        ),
    )


def outcomes(compared: Comparison, gates: Gates | None = None) -> dict[str, str]:
    judged = judge_answers(observed(compared), gates or Gates())
    return {verdict.kind: verdict.outcome for verdict in judged if verdict.kind != "finite"}


def test_labels_classes_and_calibration_are_judged_beside_the_metric() -> None:
    assert outcomes(labelled()) == dict.fromkeys(
        ("chance", "labels", "loss", "calibration", "recall", "precision", "agreement"), "met"
    )


def test_a_class_that_is_lost_fails_though_the_metric_is_kept() -> None:
    rare = outcomes(labelled(lost=4, frauds=4, of=2000))
    assert (rare["loss"], rare["rare classes"], rare["recall"]) == ("met", "not met", "met")
    half = labelled(lost=25, of=10_000)
    assert (outcomes(half)["loss"], outcomes(half)["recall"]) == ("met", "not met")
    (recall,) = (verdict for verdict in judge_answers(observed(half), Gates()) if verdict.kind == "recall")
    assert recall.check == "right answers lost of the worst of 2 classes, fraud, upper end at 95%"
    off = Gates(limits={"fp32": replace(LIMITS["fp32"], class_loss=None)})
    assert not {"recall", "precision", "rare classes"} & set(outcomes(half, off))


def test_classes_with_few_answers_are_not_settled_and_named() -> None:
    compared = labelled(frauds=5)
    assert outcomes(compared)["rare classes"] == "not settled"
    assert decided(observed(compared), Gates())
    note = judge(observed(compared), Gates()).notes[-1]
    assert note == "Among the 500 examples, answers of fraud are too few to settle whether it is kept."
    lost = labelled(lost=1, frauds=2, of=2000)
    assert outcomes(lost)["rare classes"] == "not settled"
    note = judge(observed(lost), Gates()).notes[-1]
    assert "fraud (of 2 right answers, 1 lost and 0 gained)" in note


def test_more_examples_are_answered_where_a_class_seems_to_be_lost() -> None:
    seems = labelled(lost=2, frauds=2, of=2000)
    assert outcomes(seems)["rare classes"] == "not settled"
    assert not decided(observed(seems), Gates())


def test_probabilities_that_are_less_sure_fail_though_every_label_is_the_same() -> None:
    assert outcomes(labelled(sure=0.7))["calibration"] == "not met"
    # Squares of 0.0225 are a loss of 1.25 points, near the limit of one; of 0.0106, one of 0.06
    assert outcomes(labelled(sure=0.85))["calibration"] == "not settled"
    assert outcomes(labelled(sure=0.897))["calibration"] == "met"
    off = Gates(limits={"fp32": replace(LIMITS["fp32"], calibration=None)})
    assert "calibration" not in outcomes(labelled(sure=0.7), off)


def test_on_labels_that_do_not_fit_no_loss_is_settled_unless_it_is_shown() -> None:
    compared = labelled()
    guessed = replace(compared, chance=compared.eager[0])
    assert (outcomes(guessed)["chance"], outcomes(guessed)["loss"]) == ("not settled", "not settled")
    below = replace(compared, chance=compared.eager[0], eager=(mean("accuracy", np.zeros(500)),))
    assert (outcomes(below)["chance"], outcomes(below)["loss"]) == ("not met", "not settled")
    note = judge(observed(below), Gates()).notes[1]
    assert note.startswith(
        "The labels do not fit the model: eager PyTorch's accuracy is 0.000, and that of chance"
    )
    shown = replace(labelled(lost=50), chance=compared.eager[0])
    assert outcomes(shown)["loss"] == "not met"


def test_r2_far_below_zero_is_short() -> None:
    compared = labelled()
    below = replace(compared, chance=compared.eager[0], eager=(mean("R2", np.full(500, -7.656e18)),))
    report = judge(observed(below), Gates())
    assert "eager PyTorch's R2 is -7.7e+18, and that of chance" in report.notes[1]


@pytest.mark.parametrize(
    ("examples", "says"),
    [
        (299, "they cannot exclude a loss of 1.002 points at 95% confidence, and the margin is 1; 300 could"),
        (2, "they cannot exclude a loss of 100 points at 95% confidence, and the margin is 1; 300 could"),
    ],
)
def test_the_loss_that_few_examples_cannot_exclude_is_told_from_the_margin(examples: int, says: str) -> None:
    look = Look(examples=examples, of=examples, critical=1.6448536269514722)
    (note,) = judge(observed(replace(comparison(of=examples), look=look)), Gates()).notes
    assert says in note


def test_agreement_on_few_texts_is_not_settled_unless_labels_differ() -> None:
    few = replace(CLASSIFIED, look=Look(examples=40, of=40, critical=1.645), agreed=40, decisions=40)
    assert outcomes(few)["agreement"] == "not settled"
    assert outcomes(replace(few, agreed=39))["agreement"] == "not met"


def test_what_has_no_limit_is_not_judged() -> None:
    observations = observed(EMBEDDED, tallies=(tally("texts"),), stability=STABILITY)
    kinds = [verdict.kind for verdict in judge_answers(observations, Gates(limits={"fp32": Limits()}))]
    assert kinds == ["finite", "loss"]


def test_agreement_and_flips_are_judged_for_heads_that_classify() -> None:
    gates = Gates(limits={"fp32": ALL_LIMITS})
    other_head = observed(comparison(), stability=STABILITY)
    kinds = {verdict.kind for verdict in judge_answers(other_head, gates)}
    assert "shift" in kinds
    assert not {"agreement", "flips"} & kinds
    assert judge(other_head, gates).metrics[-1].name == AGREEMENT


def test_without_labels_no_loss_is_judged_and_without_texts_only_the_outputs() -> None:
    gates = Gates(limits={"fp32": ALL_LIMITS})
    unlabelled = replace(CLASSIFIED, eager=(), variant=())
    kinds = [verdict.kind for verdict in judge_answers(observed(unlabelled), gates)]
    assert kinds == ["finite", "agreement"]
    bare = judge(observed(tallies=(tally("generated inputs"),)), gates)
    assert [verdict.kind for verdict in bare.verdicts] == ["finite", "error", "noise"]
    assert (bare.metrics, bare.label_agreement, bare.decisions) == ((), None, 0)


def test_the_worst_output_of_a_kind_of_inputs_is_judged() -> None:
    gates = Gates(limits={"fp32": ALL_LIMITS})
    observations = observed(
        tallies=(tally("texts", "start", 0.01), tally("texts", "end", 0.5), tally("generated", "start", 0.02))
    )
    errors = [verdict for verdict in judge_answers(observations, gates) if verdict.kind == "error"]
    assert [(verdict.check, verdict.observed) for verdict in errors] == [
        # The largest value of the last of three channels is 11
        ("largest error on texts", pytest.approx(0.5 / 11)),
        ("largest error on generated", pytest.approx(0.02 / 11, rel=1e-4)),
    ]


def test_values_that_are_not_finite_are_counted_over_all_inputs() -> None:
    finite, *_ = judge_answers(observed(tallies=(tally("a", broken=2), tally("b", broken=1))), Gates())
    assert (finite.kind, finite.observed, finite.outcome) == ("finite", 3.0, "not met")


def test_each_precision_has_its_own_limits() -> None:
    observations = observed(tallies=(tally("texts", error=0.01),))
    assert not all(judge_answers(observations, Gates()))
    assert all(judge_answers(replace(observations, variant=variant("int8")), Gates()))


@pytest.mark.parametrize(
    ("wrong", "of", "known"),
    [(0, 500, True), (1, 500, False), (9, 500, False), (40, 500, True), (1, 1000, True)],
)
def test_a_variant_is_decided_by_a_loss_shown_to_be_within_the_margin_or_beyond_it(
    wrong: int, of: int, known: bool
) -> None:
    assert decided(observed(comparison(wrong, of)), Gates()) == known


def test_a_variant_that_fails_another_check_is_not_decided_by_its_loss() -> None:
    few = replace(CLASSIFIED, agreed=490)
    assert not decided(observed(few), Gates())
    assert decided(observed(replace(few, agreed=500)), Gates())


def test_only_the_lower_end_of_a_loss_shows_one() -> None:
    loss = {wrong: judge_answers(observed(comparison(wrong)), Gates())[1] for wrong in (0, 9, 40)}
    assert [shows_loss(loss[wrong]) for wrong in (0, 9, 40)] == [False, False, True]
    assert loss[9].outcome == "not met"


def test_metrics_are_the_tasks_and_then_the_agreement() -> None:
    report = judge(observed(comparison(wrong=5)), Gates())
    assert [(metric.name, metric.eager, metric.variant) for metric in report.metrics] == [
        ("accuracy", 1.0, 0.99),
        (AGREEMENT, 1.0, 0.99),
    ]
    assert (report.label_agreement, report.decisions) == (0.99, 500)


def test_a_pass_that_depends_on_the_batch_is_noted_and_not_judged() -> None:
    dynamic = observed(CLASSIFIED, stability=STABILITY, of=variant("int8", DYNAMIC))
    report = judge(dynamic, Gates())
    assert not {"shift", "flips"} & {verdict.kind for verdict in report.verdicts}
    _, note = report.notes
    assert "int8_dynamic scales activations by what is in the batch" in note
    assert "by up to 0.01 when padded and by up to 0.01 when batched" in note
    assert "of 24 answers, 1 when padded and 1 when batched change" in note
    judged = judge(dynamic, Gates(batch_dependent=()))
    assert {"shift", "flips"} <= {verdict.kind for verdict in judged.verdicts}
    assert judged.notes == report.notes[:1]


def test_notes_say_first_that_it_did_not_run_and_then_that_its_limits_are_wider() -> None:
    wide = Gates(limits={**LIMITS, "int8": replace(LIMITS["int8"], noise=0.9)})
    engine = replace(variant("int8", DYNAMIC), oracle="graph.onnx")
    report = judge(observed(comparison(), stability=STABILITY, of=engine, obstacle="there is no GPU"), wide)
    first, second, power, third = report.notes
    assert first.startswith("Not run on a device, since there is no GPU.")
    assert "on 500 of the 1,500 evaluation examples" in first
    assert second == f"{WIDENED}: noise 0.9, where 0.35 is usual."
    assert report.widened == ("noise 0.9, where 0.35 is usual",)
    assert power == (
        "500 different examples were judged. They could show a loss of accuracy of 0.93 points or more, at 95% "
        "confidence in all looks together."
    )
    assert "int8_dynamic" in third
