"""How fast a release is beside eager PyTorch: timed by the runtime's timing engine, and judged."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from distilforge.benchmark.variant import shapes_within_spans, usual_choices, variant_subject
from distilforge.manifest import (
    Manifest,
    Measurement,
    Steadiness,
    Variant,
    Verdict,
)
from distilforge.manifest.document import READER
from distilforge.timing import ratios
from distilforge.timing.ratios import Estimate
from distilforge.timing.rounds import Budget, time_subjects
from distilforge.timing.shape import Shape

from validation.answers import oracle
from validation.gates import Gates
from validation.judgement import verdicts
from validation.latency.conditions import physical_cores
from validation.reports.report import EAGER, Report, Speedup, VariantReport

# Of the interval of every ratio: 5% is enough to tell which of two is faster, where the difference matters
WIDTH = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseTiming:
    """The timing of one release."""

    measurements: tuple[Measurement, ...]
    """The timed runs of eager PyTorch and of every variant that runs on this machine."""
    steadiness: Steadiness
    """Whether anything can be claimed."""
    threads: int
    """The number of threads of every subject."""

    def to_json(self) -> str:
        """This timing as JSON."""
        return json.dumps(asdict(self), indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str, path: str = "timing.json") -> "ReleaseTiming":
        """The timing in `text`; raises distilforge's ReleaseError, which names the field that does not fit."""
        return READER.read_json(cls, text, path)

    def ratio(self, name: str, over: str, gates: Gates, shapes: Sequence[Shape] = ()) -> Estimate | None:
        """How many times as fast `name` is as `over`; None where they were not timed at the same shapes."""
        return ratios.ratio(
            self.measurements,
            name,
            over,
            shapes=shapes,
            confidence=gates.confidence,
            apart=self.steadiness.apart,
        )


def measure(
    candidate: Path,
    manifest: Manifest,
    checkpoint: Path,
    *,
    vocabulary: int,
    gates: Gates,
    progress: Callable[[str], None],
) -> ReleaseTiming | None:
    """Time eager PyTorch on `checkpoint`, and every variant of `candidate` that runs on this machine.

    None if no variant does. Raises TimingError where a subject does not open.
    """
    # It loads torch, which nothing else here needs
    from validation.latency import eager_subject

    names = [variant.name for variant in manifest.variants if oracle.obstacle(variant) is None]
    if not names:
        return None
    threads = gates.threads or physical_cores()
    eager = eager_subject.subject(checkpoint, manifest.head, choices=usual_choices(manifest), threads=threads)
    shapes = shapes_within_spans(
        [Shape(batch=batch, tokens=tokens) for batch, tokens in gates.shapes], manifest
    )
    timing = time_subjects(
        [
            eager,
            *(
                variant_subject(candidate, manifest, name, vocabulary=vocabulary, threads=threads)
                for name in names
            ),
        ],
        shapes,
        Budget(seconds=gates.seconds_per_shape * len(shapes), width=WIDTH, confidence=gates.confidence),
        progress=progress,
    )
    progress(f"timed {', '.join(names)} and eager PyTorch in turns, on {threads} thread(s)")
    return ReleaseTiming(measurements=timing.measurements, steadiness=timing.steadiness, threads=threads)


def judge(report: Report, variants: Sequence[Variant], timed: ReleaseTiming | None, gates: Gates) -> Report:
    """`report` with the speed of each of `variants`; unchanged if nothing was timed."""
    if timed is None:
        return report
    by_name = {variant.name: variant for variant in variants}
    return replace(
        report,
        timing=timed.steadiness,
        variants=tuple(
            _with_speed(result, by_name[result.name], variants, timed, gates)
            if result.name in by_name
            else result
            for result in report.variants
        ),
    )


def speed_verdicts(
    variant: Variant, variants: Sequence[Variant], timed: ReleaseTiming, gates: Gates
) -> tuple[Verdict, ...]:
    """The checks of the variant's speed; empty where it was not timed, or where speeds are not judged."""
    over_eager = timed.ratio(variant.name, EAGER, gates)
    if over_eager is None or gates.latency != "judge":
        return ()
    steady = timed.steadiness.steady
    checks = []
    if gates.speedup > 0:
        checks.append(verdicts.judge_speedup(over_eager, gates, steady=steady))
    sibling = fastest_sibling(variant, variants, timed, gates)
    over_sibling = timed.ratio(variant.name, sibling, gates) if sibling else None
    if sibling and over_sibling is not None:
        checks.append(verdicts.judge_sibling(over_sibling, sibling, gates, steady=steady))
    return tuple(checks)


def fastest_sibling(
    variant: Variant, variants: Sequence[Variant], timed: ReleaseTiming, gates: Gates
) -> str | None:
    """The fastest of the variants that this one must beat; None where none of them was timed."""
    siblings = {
        other.name: ratio.value
        for other in variants
        if other.target == variant.target and other.precision in gates.of(variant.precision).faster_than
        if (ratio := timed.ratio(other.name, EAGER, gates)) is not None
    }
    return max(siblings, key=siblings.__getitem__, default=None)


def _with_speed(
    report: VariantReport, variant: Variant, variants: Sequence[Variant], timed: ReleaseTiming, gates: Gates
) -> VariantReport:
    """`report` with the variant's speed-ups, the checks of its speed, and whether it is withheld."""
    if timed.ratio(variant.name, EAGER, gates) is None:
        return report
    checks = speed_verdicts(variant, variants, timed, gates)
    sibling = fastest_sibling(variant, variants, timed, gates)
    subjects = [EAGER] if sibling is None else [EAGER, sibling]
    steady = timed.steadiness.steady
    speedups = tuple(speedup for over in subjects for speedup in _speedups(variant.name, over, timed, gates))
    report = replace(
        report,
        verdicts=(*report.verdicts, *checks),
        speedups=speedups if steady else (),
        measurements=tuple(
            measurement for measurement in timed.measurements if measurement.subject in (EAGER, variant.name)
        ),
    )
    if not steady:
        note = f"Its speed is not settled: {'; '.join(timed.steadiness.reasons)}."
        return replace(report, notes=(*report.notes, note))
    notes = []
    over_eager = report.overall(EAGER)
    if over_eager is not None and over_eager.interval[1] < 1:
        notes.append(f"It is slower than eager PyTorch on this machine: {_words(over_eager)} times as fast.")
    over_sibling = report.overall(sibling) if sibling else None
    verdict = next((check for check in checks if check.kind == verdicts.SPEEDUP_OVER_SIBLING), None)
    if over_sibling is None or verdict is None:
        return replace(report, notes=(*report.notes, *notes))
    if verdict.outcome == "not settled":
        notes.append(f"It was not shown to be faster than {sibling}: {_words(over_sibling)} times as fast.")
    # A variant whose answers are wrong has failed, whatever its speed
    withheld = verdict.outcome == "not met" and all(
        check for check in report.verdicts if check is not verdict
    )
    return replace(
        report,
        notes=(*report.notes, *notes),
        withheld=f"it is slower than {sibling}: {_words(over_sibling)} times as fast over the timed shapes, and it "
        f"must be at least {verdict.limit:g} times as fast"
        if withheld
        else "",
    )


def _speedups(name: str, over: str, timed: ReleaseTiming, gates: Gates) -> Iterator[Speedup]:
    """The speed-up over all the shapes at which both were timed, and the speed-up at each of them."""
    for shape in (None, *ratios.by_shape(timed.measurements, name)):
        ratio = timed.ratio(name, over, gates, [] if shape is None else [shape])
        if ratio is not None and ratio.interval is not None:
            yield Speedup(
                batch=shape.batch if shape else None,
                tokens=shape.tokens if shape else None,
                ratio=ratio.value,
                interval=ratio.interval,
                over=over,
            )


def _words(speedup: Speedup) -> str:
    return f"{speedup.ratio:.2f} ({speedup.interval[0]:.2f} to {speedup.interval[1]:.2f})"
