"""Plans timed in turns, each in its own process, and what their ratios show."""

from collections.abc import Callable, Iterable, Sequence

from distilforge.benchmark.variant import shapes_within_spans
from distilforge.errors import EngineError
from distilforge.manifest import Manifest
from distilforge.timing.process import open_workers
from distilforge.timing.ratios import Estimate
from distilforge.timing.rounds import Budget, Timing, time_in_rounds, time_subjects
from distilforge.timing.shape import Shape
from distilforge.timing.subject import Subject

from pipeline.tuning.evidence import Outcome
from validation.gates import Gates

# Per shape, enough to see which plans cannot win. The fewest rounds that an interval needs are run in any case.
SCREENING_SECONDS = 0.5
# A timing ends early once the ratio's interval is this narrow, because a plan that is 2% faster is worth having
INTERVAL_WIDTH = 0.02


def screen(subjects: Sequence[Subject], manifest: Manifest, gates: Gates) -> Timing:
    """Time `subjects` once and for a short time; raises the errors of `measure`."""
    shapes = _shapes(manifest, gates)
    budget = Budget(seconds=SCREENING_SECONDS * len(shapes), confidence=gates.confidence)
    with open_workers(subjects) as workers:
        return _without_refusals(time_in_rounds(workers, shapes, budget))


def measure(
    subjects: Sequence[Subject], manifest: Manifest, gates: Gates, *, progress: Callable[[str], None]
) -> Timing:
    """Time `subjects` at the gates' shapes for the gates' time, and a second time if the machine was not steady.

    Raises TimingError if a subject does not open or its process ends, and EngineError if it refuses a shape.
    """
    shapes = _shapes(manifest, gates)
    budget = Budget(
        seconds=gates.seconds_per_shape * len(shapes), width=INTERVAL_WIDTH, confidence=gates.confidence
    )
    return _without_refusals(time_subjects(subjects, shapes, budget, progress=progress))


def outcome(timing: Timing, challenger: str, rivals: Iterable[str], *, confidence: float) -> Outcome:
    """The outcome for `challenger`: better only if `timing` shows that it is faster than each of `rivals`.

    The lower end of the ratio's interval must lie above 1, so a tie is not better. An unsteady timing settles nothing.
    """
    if not timing.steadiness.steady:
        return "not settled"
    ratios = [timing.ratio(challenger, rival, confidence=confidence) for rival in rivals]
    return "better" if all(map(_is_faster, ratios)) else "not faster"


def ratio_text(ratio: Estimate) -> str:
    """`ratio`, followed by its interval if it has one."""
    if ratio.interval is None:
        return f"{ratio.value:.3f}"
    return f"{ratio.value:.3f} ({ratio.interval[0]:.3f} to {ratio.interval[1]:.3f})"


def _is_faster(ratio: Estimate | None) -> bool:
    return ratio is not None and ratio.interval is not None and ratio.interval[0] > 1


def _shapes(manifest: Manifest, gates: Gates) -> tuple[Shape, ...]:
    return shapes_within_spans(
        [Shape(batch=batch, tokens=tokens) for batch, tokens in gates.shapes], manifest
    )


def _without_refusals(timing: Timing) -> Timing:
    for (name, shape), reason in timing.refusals.items():
        raise EngineError(f"the plan {name} cannot answer a batch of {shape}: {reason}")
    return timing
