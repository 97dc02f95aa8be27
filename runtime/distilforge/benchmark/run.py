"""Time a release's variants on this machine: `python -m distilforge bench` and `distilforge bench`."""

import math
import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from distilforge.benchmark import plot
from distilforge.benchmark.result import BenchmarkResult, OverallSpeed, ShapeRefusal, ShapeSpeed
from distilforge.benchmark.timed_texts import TextOptions, Texts
from distilforge.benchmark.variant import USUAL_SHAPES, shapes_within_spans, usual_choices, variant_subject
from distilforge.bulk.command import needing_packages
from distilforge.checks.arguments import check_threads
from distilforge.errors import InputError, UnavailableError
from distilforge.manifest import Manifest
from distilforge.opening.open import open_release
from distilforge.opening.selection import select_variant, survey_variants
from distilforge.records.benchmark_records import remove_records, write_record
from distilforge.records.conditions import present_conditions
from distilforge.records.record_files import release_identity
from distilforge.release import check_files, read_manifest, resolve
from distilforge.timing.ratios import Estimate, by_shape
from distilforge.timing.rounds import Budget, Timing, time_subjects
from distilforge.timing.shape import Shape
from distilforge.timing.subject import Subject

SECONDS = 5.0
"""Default time for each shape, in seconds, for all variants together."""
MOST_SECONDS = 3600.0
"""The longest time for each shape, in seconds."""
_PROGRESS_SECONDS = 1.0
_SAME = Estimate(value=1.0, interval=(1.0, 1.0))

Release = str | os.PathLike[str]
Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkOptions:
    """What to time, and what to do with the result."""

    variants: tuple[str, ...] = ()
    """Names of the variants to time; () means all that can run on this machine."""
    shapes: tuple[str, ...] = ()
    """Texts x tokens of a run, such as `8x128`; () means USUAL_SHAPES, moved into the release's spans."""
    threads: int | None = None
    """How many threads one run may use; None means the engine's default."""
    texts: TextOptions | None = None
    """Rows of a file to time in place of shapes."""
    seconds: float = SECONDS
    """Time for each shape, for all variants together; warming up and the fewest rounds may take longer."""
    plot: Path | None = None
    """The picture to write, .svg or .png."""
    remember: bool = True
    """Whether to keep a record, by which `distilforge.open` selects a variant."""


def run_benchmark(release: Release, options: BenchmarkOptions, progress: Progress) -> BenchmarkResult:
    """Time a release's variants, draw the result and keep a record, as `options` say.

    `progress` receives progress messages, one line each; one of them says whether a record was kept.

    Raises InputError if the release cannot be timed with these options; ReleaseError if it is absent or damaged;
    UnavailableError if no variant, or not the one that was asked for, can run on this machine; TimingError if a
    variant fails.
    """
    if options.plot is not None:
        plot.check(options.plot)
    result = measure(release, options, progress)
    if options.plot is not None:
        plot.write(result, options.plot)
    if options.remember:
        progress(_remember(result))
    return result


def measure(release: Release, options: BenchmarkOptions, progress: Progress) -> BenchmarkResult:
    """Time the variants in turns, each in a process of its own; raises as `run_benchmark` does."""
    _check(options)
    folder = resolve(release)
    manifest = read_manifest(folder)
    shapes = _shapes(options.shapes, manifest)
    survey = survey_variants(manifest)
    names = _names(options.variants, manifest) or tuple(candidate.name for candidate in survey.runnable)
    if not names:
        # Raises the error that says what each variant needs
        select_variant(manifest, None, allow_unvalidated=True)
    timed_files = {file for variant in manifest.variants if variant.name in names for file in variant.files}
    all_files = {file for variant in manifest.variants for file in variant.files}
    parsed = check_files(folder, manifest, digests=set(manifest.files) - (all_files - timed_files))
    vocabulary = parsed.configuration.vocab_size
    if options.texts is not None:
        texts, timing = _time_texts(folder, names, options.texts, options, progress)
        return summarize(
            manifest, names, timing, threads=options.threads, cannot_run=survey.obstacles, texts=texts
        )
    subjects = [
        variant_subject(folder, manifest, name, vocabulary=vocabulary, threads=options.threads)
        for name in names
    ]
    progress(f"timing {', '.join(names)} at {', '.join(map(str, shapes))}")
    timing = _time(subjects, shapes, options, progress)
    return summarize(manifest, names, timing, threads=options.threads, cannot_run=survey.obstacles)


def _time(
    subjects: Sequence[Subject], shapes: Sequence[Shape], options: BenchmarkOptions, progress: Progress
) -> Timing:
    return time_subjects(
        subjects,
        shapes,
        Budget(seconds=options.seconds * len(shapes)),
        progress=progress,
        round_progress=_at_most_every(_PROGRESS_SECONDS, progress),
    )


def _time_texts(
    folder: Path, names: Sequence[str], texts: TextOptions, options: BenchmarkOptions, progress: Progress
) -> tuple[Texts, Timing]:
    """Time the variants `names` on rows of a file; raises what distilforge.benchmark.texts.read raises."""
    with needing_packages():
        from distilforge.benchmark.texts import read, text_subject
    with tempfile.TemporaryDirectory(prefix="distilforge-bench-") as scratch:
        job = Path(scratch) / "rows.json"
        # Opened here too, so that a row that cannot be answered is said before anything is timed
        session = open_release(folder, variant=names[0], threads=options.threads, allow_unvalidated=True)
        read_texts = read(session, texts, job)
        del session
        progress(
            f"timing {', '.join(names)} on {read_texts.rows} rows of {read_texts.file}, {read_texts.calls}"
        )
        subjects = [text_subject(folder, name, job, threads=options.threads) for name in names]
        return read_texts, _time(subjects, (read_texts.shape,), options, progress)


def summarize(
    manifest: Manifest,
    names: Sequence[str],
    timing: Timing,
    *,
    threads: int | None,
    cannot_run: Mapping[str, str],
    texts: Texts | None = None,
) -> BenchmarkResult:
    """The result of `timing`, whose subjects are the release's variants `names`, of which `texts` were timed if any."""
    # The tokens of texts are those of all their choices
    choices = usual_choices(manifest) if texts is None else None
    first = names[0]
    shapes = _shared_shapes(timing, names)

    def times_as_fast(name: str, shapes: Sequence[Shape]) -> Estimate | None:
        # An unsteady timing claims no ratio
        if not timing.steadiness.steady or not shapes:
            return None
        return _SAME if name == first else timing.ratio(name, first, shapes=shapes)

    speeds = [
        ShapeSpeed.of(
            name,
            shape,
            seconds,
            choices=choices,
            over_first=times_as_fast(name, (shape,)),
        )
        for name in names
        for shape in timing.shapes
        if (seconds := timing.seconds(name, shape)) is not None
    ]
    return BenchmarkResult(
        name=manifest.name,
        version=manifest.version,
        release=release_identity(manifest),
        measured_at=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        conditions=present_conditions(manifest, threads),
        choices=choices,
        shapes=shapes,
        variants=tuple(
            OverallSpeed(variant=name, times_as_fast=times_as_fast(name, shapes)) for name in names
        ),
        speeds=tuple(speeds),
        steadiness=timing.steadiness,
        cannot_run=cannot_run,
        refusals=tuple(
            ShapeRefusal(variant=name, shape=shape, reason=reason)
            for (name, shape), reason in timing.refusals.items()
        ),
        measurements=timing.measurements,
        texts=texts,
    )


def forget_release(release: Release) -> str:
    """Remove the records of the release on this machine, and return a sentence that says how many there were."""
    manifest = read_manifest(resolve(release))
    count = remove_records(manifest)
    return f"forgot {count} measurement{'' if count == 1 else 's'} of {manifest.name} {manifest.version}"


def _remember(result: BenchmarkResult) -> str:
    """Keep a record if there is something to select by, and say so; a cache that cannot be written is not an error."""
    if not result.steadiness.steady:
        return "not remembered, since the timing was not steady"
    record = result.record()
    if record is None:
        return "not remembered: fewer than two variants were timed at the same shapes"
    try:
        path = write_record(record)
    except UnavailableError as error:
        return f"not remembered: {error.message}; {error.hint}"
    return f"remembered in {path}: distilforge.open takes {result.fastest} here"


def _shared_shapes(timing: Timing, names: Sequence[str]) -> tuple[Shape, ...]:
    """The shapes at which all variants `names` were timed."""
    shapes_by_variant = [by_shape(timing.measurements, name) for name in names]
    return tuple(shape for shape in timing.shapes if all(shape in shapes for shapes in shapes_by_variant))


def _names(names: Sequence[str], manifest: Manifest) -> tuple[str, ...]:
    """Check that each of the variants `names` can run on this machine."""
    for name in names:
        select_variant(manifest, name, allow_unvalidated=True)
    return tuple(dict.fromkeys(names))


def _shapes(texts: Sequence[str], manifest: Manifest) -> tuple[Shape, ...]:
    """The shapes that `texts` name, or the usual ones if there are none."""
    if not texts:
        return shapes_within_spans(USUAL_SHAPES, manifest)
    try:
        shapes = tuple(dict.fromkeys(map(Shape.parse, texts)))
    except ValueError as cause:
        raise InputError(str(cause), hint="for example --shape 1x16 --shape 8x128") from cause
    batch, tokens = manifest.spans["batch"], manifest.spans["sequence"]
    for shape in shapes:
        if shape.batch not in batch or shape.tokens not in tokens:
            raise InputError(
                f"the shape {shape} is outside of what the release takes: {batch.low} to {batch.high} texts of "
                f"{tokens.low} to {tokens.high} tokens",
                hint="choose a shape within these bounds, or leave --shape out",
            )
    return shapes


def _check(options: BenchmarkOptions) -> None:
    if options.threads is not None:
        check_threads(options.threads)
    if options.texts is not None and options.shapes:
        raise InputError(
            f"texts are timed in place of shapes, found both: {options.texts.file!r:.80} and "
            f"{', '.join(options.shapes)!s:.80}",
            hint="leave one of them out",
        )
    if not math.isfinite(options.seconds) or not 0 < options.seconds <= MOST_SECONDS:
        raise InputError(
            f"seconds must be above 0 and at most {MOST_SECONDS:g}, found {options.seconds:g}",
            hint=f"{SECONDS:g} seconds are enough on a quiet machine",
        )


def _at_most_every(seconds: float, progress: Progress) -> Progress:
    """`progress`, but lines that come sooner than `seconds` after the last one are dropped."""
    last = -math.inf

    def send(line: str) -> None:
        nonlocal last
        if time.monotonic() - last >= seconds:
            last = time.monotonic()
            progress(line)

    return send
