"""Validation's table of contents: a release, opened as applications open it, held against eager PyTorch."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import distilforge
import numpy as np
from distilforge.manifest import Variant
from distilforge.release import read_manifest, resolve
from distilforge.session import Session
from distilforge.tokenizer import Tokenizer

from validation import data, generated, invariance, notes, oracle, tasks
from validation.accuracy import Comparison, Evaluation
from validation.agreement import Tally, difference
from validation.batches import EagerRun, Feeds, Run
from validation.conditions import conditions, physical_cores
from validation.eager import Eager, threads
from validation.errors import ArtifactError
from validation.gate import Gates
from validation.judge import Found, decided, judge
from validation.report import Report, Stability, VariantReport
from validation.tasks.base import Floats, Served

GENERATED = "generated inputs"
EVALUATED = "evaluation texts"
DEMO = "the demo's texts"
# Enough to see a disagreement with eager; more would tell nothing without labels.
DEMO_TEXTS = 256
PROGRESS_LINES = 4
# Batches under way at once; each may hold a quarter of a gigabyte of logits over a vocabulary.
MOST_WORKERS = 4

Progress = Callable[[str], None]


def validate(
    candidate: Path,
    checkpoint: Path,
    head: str,
    *,
    evaluation: Path | None,
    gates: Gates,
    progress: Progress,
) -> Report:
    """Hold every variant of the release folder `candidate` against eager PyTorch on `checkpoint`.

    `evaluation` is labelled data of `head` (validation/README.md); without it, agreement on the texts that this
    package carries still counts, and accuracy is not judged. A variant that needs what this machine lacks is judged by
    the graph that it was made of, or withheld where it has none. `progress` gets a line now and then. The report tells
    what failed; whether that stops anything is the caller's affair. validation.speed adds how fast the variants are.

    Raises DataError for unusable data, ArtifactError and UnusableReferenceError where nothing can be compared, and
    what distilforge and model_src raise for a release or a checkpoint that does not open.
    """
    manifest = read_manifest(resolve(candidate))
    if manifest.head != head:
        raise ArtifactError(
            f"{candidate} has the head {manifest.head!r}; it is to be validated as {head!r}",
            hint="export the checkpoint with that head",
        )
    unable, absent = _unable(manifest.variants)
    judged = tuple(variant for variant in manifest.variants if variant.name not in unable)
    able = tuple(variant for variant in judged if variant.name not in absent)
    count = gates.threads or physical_cores()
    workers = min(count, MOST_WORKERS)
    with threads(count // workers):
        eager = Eager(checkpoint, head)
        served = Served(manifest=manifest, tokenizer=Tokenizer(candidate), vocabulary=eager.config.vocab_size)
        evaluated = encode(evaluation, served)
        sessions = _open(candidate, able, count // workers) | {
            variant.name: oracle.session(candidate, variant, served, threads=count // workers)
            for variant in judged
            if variant.name in absent
        }
        runs = {name: floats(session) for name, session in sessions.items()}
        on_generated = {name: tallies(eager, GENERATED) for name in runs}
        on_texts = {name: tallies(eager, DEMO if evaluation is None else EVALUATED) for name in runs}
        compare_generated(eager.run, runs, served, on_generated)
        progress(f"compared {', '.join(runs)} with eager PyTorch on {GENERATED}")
        compared: Mapping[str, Comparison] = {}
        stability: Mapping[str, tuple[Stability, ...]] = {}

        def found(variant: Variant, comparison: Comparison | None) -> Found:
            return Found(
                variant=variant,
                tallies=[*on_generated[variant.name], *on_texts[variant.name]],
                compared=comparison,
                stability=stability.get(variant.name, ()),
                absent=absent.get(variant.name, ""),
            )

        def done(name: str, comparison: Comparison) -> bool:
            (variant,) = (variant for variant in judged if variant.name == name)
            if not decided(found(variant, comparison), gates):
                return False
            look = comparison.look
            progress(f"{name} is decided after {look.examples:,} of {look.of:,} texts")
            return True

        if evaluated is not None:
            sampled = invariance.sample(evaluated)
            stability = {
                name: invariance.measure(sampled, run, workers=workers) for name, run in runs.items()
            }
            progress(f"answered {len(sampled.examples)} texts alone, padded and batched")
            tell = _now_and_then(progress)
            compared = evaluated.compare(
                eager.run,
                runs,
                on_texts,
                looks=evaluated.looks(gates),
                workers=workers,
                progress=tell,
                decided=done,
            )
    return Report(
        head=head,
        evaluation=notes.describe(evaluation, evaluated),
        examples=len(evaluated.examples) if evaluated else 0,
        variants=(
            *(judge(found(variant, compared.get(variant.name)), gates) for variant in judged),
            *(
                VariantReport(name=name, withheld=f"this machine cannot check it: {why}")
                for name, why in unable.items()
            ),
        ),
        conditions=conditions(count),
        notes=notes.notes(evaluation, evaluated, gates),
    )


def _unable(variants: Sequence[Variant]) -> tuple[dict[str, str], dict[str, str]]:
    """By name, why some of `variants` cannot be checked here, and why others only by the graph they are made of."""
    unable, absent = {}, {}
    for variant in variants:
        why = oracle.obstacle(variant)
        if why is not None and variant.oracle:
            absent[variant.name] = why
        elif why is not None:
            unable[variant.name] = why
    return unable, absent


def _open(candidate: Path, variants: Sequence[Variant], count: int) -> dict[str, Session]:
    """Every one of `variants`, on `count` threads, by its name."""
    return {
        variant.name: distilforge.open(candidate, variant=variant.name, threads=count, allow_unvalidated=True)
        for variant in variants
    }


def encode(evaluation: Path | None, served: Served) -> Evaluation | None:
    """The evaluation data, or else the demo's texts, encoded; None where this package carries none for the head."""
    manifest = served.manifest
    path = data.demo_texts(manifest.head, "evaluation") if evaluation is None else evaluation
    if path is None:
        return None
    task = tasks.find(manifest.head)(
        labels=manifest.labels, problem_type=manifest.problem_type, labelled=evaluation is not None
    )
    examples = data.read(path, task, manifest.head)
    if evaluation is None:
        return Evaluation.of_those_that_fit(task, examples[:: max(1, len(examples) // DEMO_TEXTS)], served)
    evaluated = Evaluation.of(task, examples, served)
    data.check_enough(path, examples)
    return evaluated


def floats(session: Session) -> Run:
    """The session's outputs as float32, whatever precision it computes in."""

    def run(feeds: Feeds) -> Mapping[str, Floats]:
        return {name: array.astype(np.float32, copy=False) for name, array in session.run(feeds).items()}

    return run


def tallies(eager: Eager, inputs: str) -> tuple[Tally, ...]:
    """One for each output of `eager`, in its order."""
    return tuple(Tally(inputs, output, axes) for output, axes in eager.output_axes.items())


def compare_generated(
    eager: EagerRun, runs: Mapping[str, Run], served: Served, tallies: Mapping[str, Sequence[Tally]]
) -> None:
    """Feed the generated inputs to eager and to each of `runs`, adding to its tallies."""
    for case in generated.cases(served.manifest.spans, served.vocabulary):
        expected = eager(case.feeds, None)
        for name, run in runs.items():
            found = run(case.feeds)
            for tally in tallies[name]:
                pair = expected[tally.output], found[tally.output]
                tally.add(difference(*pair, case.feeds, tally.axes, compared=case.compared))


def _now_and_then(progress: Progress) -> Callable[[int, int], None]:
    """A line for each quarter of the rows."""
    told = 0

    def tell(done: int, of: int) -> None:
        nonlocal told
        quarter = PROGRESS_LINES * done // of
        if quarter > told:
            told = quarter
            progress(f"answered {done:,} of {of:,} rows of text, by eager PyTorch and by what is not decided")

    return tell
