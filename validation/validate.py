"""Validation's table of contents: a release, opened as applications open it, is compared with eager PyTorch."""

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

import distilforge
import numpy as np
from distilforge.manifest import Variant
from distilforge.release import read_manifest, resolve
from distilforge.session import Session
from distilforge.tokenizer import Tokenizer

from validation import data, tasks
from validation.answers import generated, invariance, long_texts, oracle
from validation.answers.accuracy import Comparison, Evaluation
from validation.answers.agreement import Tally, difference
from validation.answers.batches import EagerRun, Feeds, Run
from validation.answers.eager import Eager, threads
from validation.errors import ArtifactError
from validation.gates import Gates
from validation.judgement import notes
from validation.judgement.family import in_fixed_order
from validation.judgement.judge import Observations, decided, judge
from validation.judgement.power import misfit_note
from validation.latency.conditions import conditions, physical_cores
from validation.reports.report import Report, Stability, VariantReport
from validation.tasks.base import Floats, ReleaseReader

GENERATED = "generated inputs"
LONG = "long texts"
EVALUATED = "evaluation texts"
DEMO = "the demo's texts"
DEMO_TEXTS = 300
"""So many demo texts can show that one label in a hundred differs; without labels, more would hardly show more."""
PROGRESS_LINES = 4
MOST_WORKERS = 4
"""Batches that are answered at once; the logits of one over a vocabulary can take a quarter of a gigabyte."""

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
    """Compare every variant of the release folder `candidate` with eager PyTorch on `checkpoint`.

    `evaluation` is labelled data of `head` (validation/README.md). Without it, the texts that this package holds are
    compared, and accuracy is not judged. A variant that cannot run on this machine is judged by its ONNX graph, or
    withheld where it has none. `progress` receives a line from time to time. A failed check is in the report and raises
    nothing. `validation.latency.speed` adds the speed of the variants.

    Raises DataError for unusable data, ArtifactError and UnusableReferenceError where nothing can be compared, and the
    errors of distilforge and model_src for a release or a checkpoint that does not open.
    """
    manifest = read_manifest(resolve(candidate))
    if manifest.head != head:
        raise ArtifactError(
            f"{candidate} has the head {manifest.head!r}; it is to be validated as {head!r}",
            hint="export the checkpoint with that head",
        )
    unchecked, obstacles = _obstacles(manifest.variants)
    checked = tuple(variant for variant in manifest.variants if variant.name not in unchecked)
    count = gates.threads or physical_cores()
    workers = min(count, MOST_WORKERS)
    with threads(count // workers):
        eager = Eager(checkpoint, head)
        reader = ReleaseReader(
            manifest=manifest, tokenizer=Tokenizer(candidate), vocabulary=eager.config.vocab_size
        )
        evaluated = encode_evaluation(evaluation, reader)
        runs = {
            variant.name: float32_run(
                oracle.session(candidate, variant, reader, threads=count // workers)
                if variant.name in obstacles
                else _open(candidate, variant, threads=count // workers)
            )
            for variant in checked
        }
        on_generated = {name: empty_tallies(eager, GENERATED) for name in runs}
        on_texts = {name: empty_tallies(eager, DEMO if evaluation is None else EVALUATED) for name in runs}
        compare_generated(eager.run, runs, reader, on_generated)
        on_long = {name: empty_tallies(eager, LONG) for name in runs}
        compare_long(eager.run, runs, evaluated, on_long)
        progress(f"compared {', '.join(runs)} with eager PyTorch on {GENERATED}")
        comparisons: Mapping[str, Comparison] = {}
        stability: Mapping[str, tuple[Stability, ...]] = {}

        def observations(variant: Variant, comparison: Comparison | None) -> Observations:
            return Observations(
                variant=variant,
                tallies=[*on_generated[variant.name], *on_long[variant.name], *on_texts[variant.name]],
                compared=comparison,
                stability=stability.get(variant.name, ()),
                obstacle=obstacles.get(variant.name, ""),
            )

        def is_decided(name: str, comparison: Comparison) -> bool:
            (variant,) = (variant for variant in checked if variant.name == name)
            if not decided(observations(variant, comparison), gates):
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
            comparisons = evaluated.compare(
                eager.run,
                runs,
                on_texts,
                looks=evaluated.looks(gates),
                workers=workers,
                progress=_quarters(progress),
                decided=is_decided,
            )
    return Report(
        head=head,
        evaluation=notes.describe(evaluation, evaluated),
        examples=len(evaluated.examples) if evaluated else 0,
        variants=(
            *in_fixed_order(
                [judge(observations(variant, comparisons.get(variant.name)), gates) for variant in checked]
            ),
            *(
                VariantReport(name=name, withheld=f"this machine cannot check it: {obstacle}")
                for name, obstacle in unchecked.items()
            ),
        ),
        conditions=conditions(count),
        notes=(*notes.notes(evaluation, evaluated, gates), *_misfit(comparisons.values(), gates)),
    )


def _misfit(comparisons: Collection[Comparison], gates: Gates) -> tuple[str, ...]:
    """A note where the labels do not fit the model, from the comparison of most examples."""
    if not comparisons:
        return ()
    sentence = misfit_note(max(comparisons, key=lambda comparison: comparison.look.examples), gates)
    return (sentence,) if sentence else ()


def _obstacles(variants: Sequence[Variant]) -> tuple[dict[str, str], dict[str, str]]:
    """Why variants cannot run on this machine, by name.

    First those that cannot be checked, then those whose ONNX graph can answer in their place.
    """
    unchecked, by_graph = {}, {}
    for variant in variants:
        obstacle = oracle.obstacle(variant)
        if obstacle is not None and variant.oracle:
            by_graph[variant.name] = obstacle
        elif obstacle is not None:
            unchecked[variant.name] = obstacle
    return unchecked, by_graph


def _open(candidate: Path, variant: Variant, *, threads: int) -> Session:
    return distilforge.open(candidate, variant=variant.name, threads=threads, allow_unvalidated=True)


def encode_evaluation(evaluation: Path | None, reader: ReleaseReader) -> Evaluation | None:
    """The evaluation data, or else the demo's texts, encoded; None if no demo text fits the release.

    An example in which the model reads the same as in an earlier one is left out.
    """
    manifest = reader.manifest
    path = data.demo_texts(manifest.head, "evaluation") if evaluation is None else evaluation
    if path is None:
        return None
    task = tasks.find(manifest.head)(
        labels=manifest.labels, problem_type=manifest.problem_type, labelled=evaluation is not None
    )
    examples = data.read(path, task, manifest.head)
    if evaluation is None:
        return Evaluation.of_fitting(task, examples[:: max(1, len(examples) // DEMO_TEXTS)], reader)
    evaluated = Evaluation.of(task, examples, reader).without_repeats()
    data.check_enough(path, evaluated.examples, repeated=evaluated.repeated)
    return evaluated


def float32_run(session: Session) -> Run:
    """The session's outputs as float32, whatever precision it computes in."""

    def run(feeds: Feeds) -> Mapping[str, Floats]:
        return {name: array.astype(np.float32, copy=False) for name, array in session.run(feeds).items()}

    return run


def empty_tallies(eager: Eager, inputs: str) -> tuple[Tally, ...]:
    """An empty tally for each output of `eager`, in its order."""
    return tuple(Tally(inputs, output, axes) for output, axes in eager.output_axes.items())


def compare_generated(
    eager: EagerRun,
    runs: Mapping[str, Run],
    reader: ReleaseReader,
    tallies: Mapping[str, Sequence[Tally]],
) -> None:
    """Feed the generated inputs to eager PyTorch and to each of `runs`, and add the differences to its `tallies`."""
    for case in generated.cases(reader.spans, reader.vocabulary):
        _compare(eager, runs, case.feeds, tallies, compared=case.compared)


def compare_long(
    eager: EagerRun,
    runs: Mapping[str, Run],
    evaluated: Evaluation | None,
    tallies: Mapping[str, Sequence[Tally]],
) -> None:
    """The same as `compare_generated`, for long texts made of the `evaluated` ones; nothing without any."""
    for feeds in () if evaluated is None else long_texts.batches(evaluated):
        _compare(eager, runs, feeds, tallies)


def _compare(
    eager: EagerRun,
    runs: Mapping[str, Run],
    feeds: Feeds,
    tallies: Mapping[str, Sequence[Tally]],
    *,
    compared: bool = True,
) -> None:
    """Feed one batch to eager PyTorch and to each of `runs`, and add the differences to its tallies."""
    expected = eager(feeds, None)
    for name, run in runs.items():
        outputs = run(feeds)
        for tally in tallies[name]:
            pair = expected[tally.output], outputs[tally.output]
            tally.add(difference(*pair, feeds, tally.axes, compared=compared))


def _quarters(progress: Progress) -> Callable[[int, int], None]:
    """A function that receives how many rows of how many are answered, and passes on a line for each quarter."""
    reported = 0

    def rows_answered(done: int, total: int) -> None:
        nonlocal reported
        quarter = PROGRESS_LINES * done // total
        if quarter > reported:
            reported = quarter
            progress(
                f"answered {done:,} of {total:,} rows of text, by eager PyTorch and the variants that are not decided"
            )

    return rows_answered
