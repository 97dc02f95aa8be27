"""The report on one variant: which checks it has, in which order, and when it need not answer more examples."""

from dataclasses import replace

import numpy as np
import pytest
from distilforge.manifest import PassRecord, Variant

from validation.accuracy import Comparison
from validation.agreement import Tally, difference
from validation.gates import LIMITS, WIDENED, Gates, Limits
from validation.judge import Observations, decided, judge, judge_answers, shows_loss
from validation.metrics import mean
from validation.report import AGREEMENT, Stability
from validation.sequential import Look

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
        ("largest error on texts", pytest.approx(0.5)),
        ("largest error on generated", pytest.approx(0.02, rel=1e-4)),
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
    (note,) = report.notes
    assert "int8_dynamic scales activations by what is in the batch" in note
    assert "by up to 0.01 when padded and by up to 0.01 when batched" in note
    assert "of 24 answers, 1 when padded and 1 when batched change" in note
    judged = judge(dynamic, Gates(batch_dependent=()))
    assert {"shift", "flips"} <= {verdict.kind for verdict in judged.verdicts}
    assert judged.notes == ()


def test_notes_say_first_that_it_did_not_run_and_then_that_its_limits_are_wider() -> None:
    wide = Gates(limits={**LIMITS, "int8": replace(LIMITS["int8"], noise=0.9)})
    engine = replace(variant("int8", DYNAMIC), oracle="graph.onnx")
    report = judge(observed(comparison(), stability=STABILITY, of=engine, obstacle="there is no GPU"), wide)
    first, second, third = report.notes
    assert first.startswith("Not run on a device, since there is no GPU.")
    assert "on 500 of the 1,500 evaluation examples" in first
    assert second == f"{WIDENED}: noise 0.9, where 0.35 is usual."
    assert "int8_dynamic" in third
