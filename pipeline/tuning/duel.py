"""Plans timed in turns, each in a process of its own: how many times as fast one is as another."""

from collections.abc import Callable, Iterable, Sequence

from distilforge.errors import EngineError
from distilforge.manifest import Manifest
from distilforge.timing.process import open_workers
from distilforge.timing.ratios import Estimate
from distilforge.timing.rounds import Budget, Timing, time_in_rounds, time_subjects
from distilforge.timing.shape import Shape
from distilforge.timing.subject import Subject
from distilforge.timing.variant import usable_shapes

from pipeline.tuning.evidence import Outcome
from validation.gate import Gates

# Seconds a shape to see who cannot win; the fewest rounds are run in any case.
SCREENING = 0.5
# Of a ratio's interval, which ends a timing early: a plan that is 2% faster is worth having
WIDTH = 0.02


def screened(subjects: Sequence[Subject], manifest: Manifest, gates: Gates) -> Timing:
    """`subjects` timed once and shortly; raises what `timed` raises."""
    shapes = _shapes(manifest, gates)
    budget = Budget(seconds=SCREENING * len(shapes), confidence=gates.confidence)
    with open_workers(subjects) as workers:
        return _whole(time_in_rounds(workers, shapes, budget))


def timed(
    subjects: Sequence[Subject], manifest: Manifest, gates: Gates, *, progress: Callable[[str], None]
) -> Timing:
    """`subjects` timed at the gates' shapes for as long as the gates say, and once more where it was not steady.

    Raises TimingError where a subject does not open or its process ends, and EngineError where it refuses a shape.
    """
    shapes = _shapes(manifest, gates)
    budget = Budget(seconds=gates.seconds_per_shape * len(shapes), width=WIDTH, confidence=gates.confidence)
    return _whole(time_subjects(subjects, shapes, budget, progress=progress))


def outcome(timing: Timing, challenger: str, rivals: Iterable[str], *, confidence: float) -> Outcome:
    """What `timing` makes of `challenger`: better only where it is shown to be faster than each of `rivals`.

    The lower end of the ratio's interval decides, so that a tie is not better. An unsteady timing settles nothing.
    """
    if not timing.steadiness.steady:
        return "not settled"
    ratios = [timing.ratio(challenger, rival, confidence=confidence) for rival in rivals]
    return "better" if all(map(_is_faster, ratios)) else "not faster"


def words(ratio: Estimate) -> str:
    """`ratio` with its interval, where it has one."""
    if ratio.interval is None:
        return f"{ratio.value:.3f}"
    return f"{ratio.value:.3f} ({ratio.interval[0]:.3f} to {ratio.interval[1]:.3f})"


def _is_faster(ratio: Estimate | None) -> bool:
    return ratio is not None and ratio.interval is not None and ratio.interval[0] > 1


def _shapes(manifest: Manifest, gates: Gates) -> tuple[Shape, ...]:
    return usable_shapes([Shape(batch=batch, tokens=tokens) for batch, tokens in gates.shapes], manifest)


def _whole(timing: Timing) -> Timing:
    for (name, shape), why in timing.refused.items():
        raise EngineError(f"the plan {name} cannot answer a batch of {shape}: {why}")
    return timing
