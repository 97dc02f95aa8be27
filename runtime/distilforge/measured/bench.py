"""Time a release's variants on this machine: `python -m distilforge bench` and `distilforge bench`."""

import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from distilforge.choice import choose, survey
from distilforge.errors import InputError, UnavailableError
from distilforge.inputs import check_threads
from distilforge.manifest import Manifest
from distilforge.measured import memory, place, plot
from distilforge.measured.conditions import present_conditions
from distilforge.measured.outcome import Outcome, Overall, Refusal, Speed
from distilforge.opening import read_vocabulary
from distilforge.release import check_files, read_manifest, resolve
from distilforge.timing.ratios import Estimate, by_shape
from distilforge.timing.rounds import Budget, Timing, time_subjects
from distilforge.timing.shape import Shape
from distilforge.timing.variant import USUAL, subject, usable_shapes, usual_choices

SECONDS = 5.0
"""A shape, unless another time is asked for."""
MOST_SECONDS = 3600.0
# A line every so often is enough to see that it goes on
_PROGRESS_SECONDS = 1.0
_SAME = Estimate(value=1.0, interval=(1.0, 1.0))

Release = str | os.PathLike[str]
Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What to time, and what to do with the outcome."""

    variants: tuple[str, ...] = ()
    """By name; empty for all that can run here."""
    shapes: tuple[str, ...] = ()
    """Texts x tokens, as 8x128; empty for the usual ones, held within the release's spans."""
    threads: int | None = None
    """How many a run may use; None for the engine's default."""
    seconds: float = SECONDS
    """How long a shape may take at most, all variants together; an unsteady timing is repeated once."""
    plot: Path | None = None
    """The picture to write, .svg or .png."""
    remember: bool = True
    """Whether `distilforge.open` is to go by it."""


def bench(release: Release, options: Options, progress: Progress) -> Outcome:
    """Measure, draw and remember as `options` say; `progress` gets a line now and then.

    Raises InputError for options that the release cannot be timed with, ReleaseError for a release that is absent or
    damaged, UnavailableError where nothing, or not what was asked for, can run here, and TimingError where a variant
    fails. Where the cache cannot be written, `progress` hears of it.
    """
    if options.plot is not None:
        plot.check(options.plot)
    outcome = measure(release, options, progress)
    if options.plot is not None:
        plot.write(outcome, options.plot)
    if options.remember:
        progress(_remember(outcome))
    return outcome


def measure(release: Release, options: Options, progress: Progress) -> Outcome:
    """Time the variants in processes of their own, in turns; raises what `bench` does."""
    _check(options)
    folder = resolve(release)
    manifest = read_manifest(folder)
    shapes = _shapes(options.shapes, manifest)
    seen = survey(manifest)
    names = _names(options.variants, manifest) or tuple(variant.name for variant, _ in seen.able)
    if not names:
        # Says what every variant lacks
        choose(manifest, None, allow_unvalidated=True)
    timed = [variant for variant in manifest.variants if variant.name in names]
    unused = {file for variant in manifest.variants for file in variant.files} - {
        file for variant in timed for file in variant.files
    }
    check_files(folder, manifest, digests=set(manifest.files) - unused)
    vocabulary = read_vocabulary(folder)
    subjects = [
        subject(folder, manifest, name, vocabulary=vocabulary, threads=options.threads) for name in names
    ]
    progress(f"timing {', '.join(names)} at {', '.join(map(str, shapes))}")
    timing = time_subjects(
        subjects,
        shapes,
        Budget(seconds=options.seconds * len(shapes)),
        progress=progress,
        each_round=_now_and_then(progress),
    )
    return summarize(manifest, names, timing, threads=options.threads, cannot_run=seen.obstacles)


def summarize(
    manifest: Manifest,
    names: Sequence[str],
    timing: Timing,
    *,
    threads: int | None,
    cannot_run: Mapping[str, str],
) -> Outcome:
    """The outcome of `timing`, whose subjects are the variants `names` of the release."""
    choices = usual_choices(manifest)
    first = names[0]
    shapes = _shared_shapes(timing, names)
    speeds = [
        Speed.of(
            name,
            shape,
            seconds,
            choices=choices,
            over_first=_SAME if name == first else timing.ratio(name, first, shapes=(shape,)),
        )
        for name in names
        for shape in timing.shapes
        if (seconds := timing.seconds(name, shape)) is not None
    ]
    return Outcome(
        name=manifest.name,
        version=manifest.version,
        release=place.identity(manifest),
        measured=datetime.now(UTC).isoformat(timespec="seconds"),
        conditions=present_conditions(threads),
        choices=choices,
        shapes=shapes,
        variants=tuple(
            Overall(variant=name, times_as_fast=_overall(timing, name, first, shapes)) for name in names
        ),
        speeds=tuple(speeds),
        steadiness=timing.steadiness,
        cannot_run=cannot_run,
        refusals=tuple(
            Refusal(variant=name, shape=shape, reason=reason)
            for (name, shape), reason in timing.refused.items()
        ),
        measurements=timing.measurements,
    )


def forget(release: Release) -> str:
    """Remove what is remembered of the release on this machine; a sentence that says how much that was."""
    manifest = read_manifest(resolve(release))
    count = memory.forget(manifest)
    return f"forgot {count} measurement{'' if count == 1 else 's'} of {manifest.name} {manifest.version}"


def _remember(outcome: Outcome) -> str:
    if not outcome.steadiness.steady:
        return "not remembered, since the timing was not steady"
    kept = outcome.to_remember()
    if kept is None:
        return "not remembered, since a choice needs two variants that were timed at the same shapes"
    try:
        path = memory.remember(kept)
    except UnavailableError as error:
        return f"not remembered: {error.message}; {error.hint}"
    return f"remembered in {path}: distilforge.open takes {outcome.fastest} here"


def _overall(timing: Timing, name: str, first: str, shapes: Sequence[Shape]) -> Estimate | None:
    if not shapes:
        return None
    return _SAME if name == first else timing.ratio(name, first, shapes=shapes)


def _shared_shapes(timing: Timing, names: Sequence[str]) -> tuple[Shape, ...]:
    taken = [by_shape(timing.measurements, name) for name in names]
    return tuple(shape for shape in timing.shapes if all(shape in shapes for shapes in taken))


def _names(asked: Sequence[str], manifest: Manifest) -> tuple[str, ...]:
    for name in asked:
        choose(manifest, name, allow_unvalidated=True)
    return tuple(dict.fromkeys(asked))


def _shapes(asked: Sequence[str], manifest: Manifest) -> tuple[Shape, ...]:
    if not asked:
        return usable_shapes(USUAL, manifest)
    try:
        shapes = tuple(dict.fromkeys(map(Shape.parse, asked)))
    except ValueError as cause:
        raise InputError(str(cause), hint="for example --shape 1x16 --shape 8x128") from cause
    batch, tokens = manifest.spans["batch"], manifest.spans["sequence"]
    for shape in shapes:
        if shape.batch not in batch or shape.tokens not in tokens:
            raise InputError(
                f"the shape {shape} is outside of what the release takes: {batch.low} to {batch.high} texts of "
                f"{tokens.low} to {tokens.high} tokens",
                hint="name another, or leave --shape out",
            )
    return shapes


def _check(options: Options) -> None:
    if options.threads is not None:
        check_threads(options.threads)
    if not math.isfinite(options.seconds) or not 0 < options.seconds <= MOST_SECONDS:
        raise InputError(
            f"seconds must be above 0 and at most {MOST_SECONDS:g}, found {options.seconds:g}",
            hint=f"{SECONDS:g} are enough on a quiet machine",
        )


def _now_and_then(progress: Progress) -> Progress:
    last = -math.inf

    def tell(line: str) -> None:
        nonlocal last
        if time.monotonic() - last >= _PROGRESS_SECONDS:
            last = time.monotonic()
            progress(line)

    return tell
