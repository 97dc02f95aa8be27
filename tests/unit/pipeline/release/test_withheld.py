"""A withheld variant leaves its name and the reason and nothing else; withholding every variant is an error."""

from dataclasses import replace
from pathlib import Path

import distilforge
import pytest
from distilforge.manifest import Manifest, Measurement, Metric, Variant, Verdict, Withheld, release_version
from distilforge.release import verify
from distilforge.timing import claims

from pipeline.errors import GateError
from pipeline.release import assemble, compose, gate, model_card, summary
from pipeline.release.checkpoint_card import CheckpointCard
from pipeline.stages.validate import with_results, without_failed
from tests.quantized_release import INT8, QUANTIZED, add_int8
from tests.runtime_release import GRAPH, PASSED, copied, published, read_manifest
from tests.timings import BUSY, timed
from tests.validation_runs import GATES, evaluation
from validation.gates import LIMITS
from validation.latency import speed
from validation.latency.speed import ReleaseTiming
from validation.reports.report import EAGER, Report
from validation.validate import validate

HEAD = "sequence_classification"
FP32 = "onnxruntime-cpu:fp32"
# The labels of a made-up model are near-ties, which the rounding of another processor can change
LENIENT = replace(
    GATES, margin=0.99, limits={**LIMITS, "int8": replace(LIMITS["int8"], agreement=None, noise=0.9)}
)
SLOWER = timed({EAGER: 4.0, FP32: 1.0, INT8: 2.0})
FASTER = timed({EAGER: 4.0, FP32: 2.0, INT8: 1.0})


@pytest.fixture
def candidate(tmp_path: Path) -> Path:
    return add_int8(copied(HEAD, tmp_path / "candidate"))


def reported(candidate: Path, taken: ReleaseTiming) -> Report:
    """The report of validation on the candidate's answers and on made-up speeds."""
    checkpoint = published(HEAD, ("negative", "neutral", "positive")).checkpoint
    data = evaluation(HEAD, candidate.parent)
    answers = validate(
        candidate, checkpoint, HEAD, evaluation=data, gates=LENIENT, progress=lambda line: None
    )
    return speed.judge(answers, read_manifest(candidate).variants, taken, LENIENT)


def composed(candidate: Path, report: Report, folder: Path) -> Manifest:
    """The release that a build would publish."""
    manifest = with_results(read_manifest(candidate), report)
    folder.mkdir()
    compose.compose(
        candidate=candidate,
        judged=manifest,
        report=report,
        provenance=manifest.provenance,
        card=CheckpointCard(),
        folder=folder,
    )
    return manifest


def failing(candidate: Path) -> Report:
    """A report in which one check of INT8's answers failed."""
    report = reported(candidate, FASTER)
    failed = replace(PASSED[0], observed=3.0)
    assert not failed
    variants = tuple(
        replace(result, verdicts=(*result.verdicts, failed)) if result.name == INT8 else result
        for result in report.variants
    )
    return replace(report, variants=variants)


def test_an_optional_variant_that_fails_a_check_is_withheld_and_says_which(
    candidate: Path, tmp_path: Path
) -> None:
    report = without_failed(failing(candidate), [INT8])
    assert report.passed
    manifest = composed(candidate, report, tmp_path / "release")
    gate.enforce(manifest)
    assert [variant.name for variant in verify(tmp_path / "release").variants] == [FP32]
    (withheld,) = manifest.withheld
    assert withheld.name == INT8
    assert withheld.reason.startswith("it is optional, and 1 of its ")
    assert "outputs that are not finite is 3, must be at most 0" in withheld.reason


@pytest.mark.parametrize("optional", [[], [FP32]])
def test_another_variant_that_fails_stops_the_build(optional: list[str], candidate: Path) -> None:
    report = without_failed(failing(candidate), optional)
    assert not report.passed
    with pytest.raises(GateError, match="checks failed"):
        gate.enforce(with_results(read_manifest(candidate), report))


def test_an_optional_variant_that_passes_stays(candidate: Path) -> None:
    report = reported(candidate, FASTER)
    assert without_failed(report, [INT8]) == report


def test_a_slower_variant_is_left_out_and_the_rest_is_published(candidate: Path, tmp_path: Path) -> None:
    report = reported(candidate, SLOWER)
    manifest = composed(candidate, report, tmp_path / "release")
    gate.enforce(manifest)
    shipped = verify(tmp_path / "release")
    assert [variant.name for variant in shipped.variants] == [FP32]
    assert not (tmp_path / "release" / QUANTIZED).exists()
    assert QUANTIZED not in shipped.files
    assert (candidate / QUANTIZED).exists()
    # A release that never had the variant would have the same version
    before = read_manifest(candidate)
    deployed = {name: entry for name, entry in before.files.items() if name != QUANTIZED}
    assert shipped.version == release_version(deployed, before.provenance.recipe_sha256)
    (withheld,) = shipped.withheld
    assert withheld == Withheld(name=INT8, reason=report.variants[1].withheld)
    assert gate.withheld_lines(shipped) == [f"{INT8} is withheld: {withheld.reason}"]
    card = (tmp_path / "release" / "README.md").read_text()
    assert f"**{INT8} is not in this release**: it is slower than {FP32}" in card
    assert "is withheld" in (tmp_path / "release" / "validation" / "report.html").read_text()
    assert distilforge.open(tmp_path / "release").variant.name == FP32
    first, second = summary.lines(shipped)
    assert first.cells()[-1].startswith("passed, wider limits, not settled: whether the labels fit the model")
    assert second.cells()[2] == INT8
    assert second.cells()[-1] == f"withheld: {withheld.reason}"
    assert (first.validated, first.withheld) == (True, "")
    assert (second.validated, second.withheld) == (False, withheld.reason)
    assert len(first.cells()) == len(second.cells()) == len(summary.COLUMNS)


def test_both_columns_are_in_the_table_and_the_card(candidate: Path, tmp_path: Path) -> None:
    manifest = composed(candidate, reported(candidate, FASTER), tmp_path / "release")
    assert manifest.withheld == ()
    fp32, int8 = summary.lines(verify(tmp_path / "release"))
    assert fp32.sibling_speedup is None
    # The median of ratios and the ratio of medians differ by what rounds wobble, 1% a side
    assert int8.sibling_speedup == pytest.approx(2.0, rel=0.02)
    assert (fp32.speedup, int8.speedup) == (pytest.approx(2.0, rel=0.02), pytest.approx(4.0, rel=0.02))
    assert int8.bytes == (candidate / QUANTIZED).stat().st_size < (fp32.bytes or 0)
    assert fp32.agreement == 1.0
    assert int8.agreement is not None
    assert (int8.error, int8.margin) == (None, 0.99)
    assert int8.metric == "accuracy"
    card = (tmp_path / "release" / "README.md").read_text()
    (shape, *_) = claims.shapes(manifest, INT8)
    over_eager = claims.speedup(manifest, INT8, "eager", shapes=[shape])
    assert over_eager is not None
    assert over_eager.interval is not None
    for part in (
        "agreement with eager",
        "| headroom |",
        "than fp32",
        str(over_eager),
        "int8_dynamic scales activations",
    ):
        assert part in card, part


def test_notes_of_the_scheme_and_of_validation_are_both_kept(candidate: Path) -> None:
    manifest = read_manifest(candidate)
    fp32, int8 = manifest.variants
    noted = replace(manifest, variants=(fp32, replace(int8, notes=("made so",))))
    notes = with_results(noted, reported(candidate, FASTER)).variants[1].notes
    assert notes[0] == "made so"
    assert "scales activations by what is in the batch" in notes[-1]


def test_a_file_that_another_variant_needs_stays(candidate: Path) -> None:
    manifest = read_manifest(candidate)
    fp32, int8 = manifest.variants
    shared = replace(manifest, variants=(fp32, replace(int8, files=(GRAPH,))))
    assert GRAPH in assemble.withhold(shared, {INT8: "slow"}).files
    assert assemble.withhold(shared, {}) is shared


def test_nothing_is_published_if_every_variant_is_withheld(candidate: Path) -> None:
    manifest = assemble.withhold(read_manifest(candidate), {FP32: "slow", INT8: "slower than that"})
    with pytest.raises(GateError, match=f"every variant was withheld\n{FP32} is withheld: slow\n{INT8} is"):
        gate.enforce(manifest)


def variant(precision: str, *seconds: float) -> Variant:
    """A variant with a metric that was not measured, timed at two shapes beside an eager of 8 seconds."""
    return Variant(
        target="onnxruntime-cpu",
        precision=precision,
        files=(f"onnx/{precision}",),
        validated=True,
        metrics=(Metric(name="agreement with eager", eager=1.0, variant=0.9, examples=10),),
        verdicts=(Verdict(check="c", observed=0.9, comparison="at least", limit=0.8, unit="u", reason="r"),),
        measurements=tuple(
            Measurement(subject=subject, batch=1, tokens=16 * (1 + position), seconds=(taken,))
            for position, variant_seconds in enumerate(seconds)
            for subject, taken in (("eager", 8.0), (f"onnxruntime-cpu:{precision}", variant_seconds))
        ),
    )


def test_the_speed_up_over_fp32_is_a_geometric_mean(candidate: Path) -> None:
    both = (variant("fp32", 4.0, 2.0), variant("int8", 1.0, 1.0))
    manifest = replace(read_manifest(candidate), variants=both)
    _, int8 = summary.lines(manifest)
    assert int8.speedup == pytest.approx(8.0)
    assert int8.sibling_speedup == pytest.approx(8**0.5)
    assert (int8.metric, int8.agreement) == (None, 0.9)
    card = model_card.render(manifest, "DistilBertForSequenceClassification")
    assert "No labelled data were given" in card
    assert "| onnxruntime-cpu:int8 | 0.0 | 1 x 16 | 8000.00 | 1000.00 | 8.00 | 4.00 |" in card
    assert "| 0.9 | at least 0.8 u | 0.1 | yes |" in card


def test_a_busy_machine_leads_to_no_claim_anywhere(candidate: Path, tmp_path: Path) -> None:
    manifest = composed(
        candidate, reported(candidate, replace(SLOWER, steadiness=BUSY)), tmp_path / "release"
    )
    assert manifest.withheld == ()
    for line in summary.lines(verify(tmp_path / "release")):
        assert (line.speedup, line.sibling_speedup, line.eager_seconds, line.variant_seconds) == (None,) * 4
        assert (line.timed, line.validated) == (True, True)
    card = (tmp_path / "release" / "README.md").read_text()
    assert (
        f"**Not settled.** The machine was not steady while this release was timed, twice: {BUSY.reasons[0]}"
        in card
    )
    assert "times as fast" not in card
    page = (tmp_path / "release" / "validation" / "report.html").read_text()
    assert "Not settled, so that no speed is claimed" in page
    assert "×</td>" not in page
