"""Evaluation texts through eager PyTorch and every variant: answers, differences and metrics."""

import contextlib
import functools
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from distilforge.manifest import Metric

from validation.answers.agreement import Tally
from validation.answers.answering import answer
from validation.answers.batches import Batch, EagerRun, Run, batches
from validation.errors import DataError
from validation.gates import Gates
from validation.statistics.chance import Renaming, renaming
from validation.statistics.classes import ClassAnswers, ClassLoss, class_losses
from validation.statistics.metrics import Array, Indices, Score
from validation.statistics.sequential import Look, plan_looks, single_look
from validation.tasks.base import Answers, Example, ReleaseReader, Row, Task

MOST_PARTS = 16
"""A demo text with more parts is left out: to answer them would take a small model hours."""
SEED = 0
"""The seed of the order in which examples are answered. Every build answers the same ones first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A variant's answers beside eager PyTorch's, for the examples up to one look."""

    look: Look
    """The look, which says how many examples these are."""
    eager: tuple[Score, ...]
    """Eager PyTorch's metrics, the primary one first; empty without labels."""
    variant: tuple[Score, ...]
    """The variant's metrics, in the same order."""
    agreed: int
    """How many decisions are the same."""
    decisions: int
    """How many decisions there are; 0 for heads that decide nothing."""
    classifies: bool = False
    """Whether decisions are labels."""
    chance: Score | None = None
    """Eager PyTorch's primary metric beside the truths of other examples; None where there are none."""
    renaming: Renaming | None = None
    """The names of labels under which eager PyTorch is right most often; None without two labels of the model."""
    class_losses: tuple[ClassLoss, ...] = ()
    """What the variant loses of each class; empty where answers have no classes."""
    calibration: tuple[Score, Score] | None = None
    """The proper scores of eager PyTorch's probabilities and of the variant's; None where they are not judged."""
    cosines: tuple[float, ...] = ()
    """The cosine of each embedding with eager PyTorch's, without what is constant over the texts."""
    unjudged: str = ""
    """What of the examples no metric is about, and why, in sentences; empty where that is nothing."""

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Both models' metrics, as a manifest holds them."""
        return tuple(
            Metric(name=eager.name, eager=eager.value, variant=variant.value, examples=len(eager.columns))
            for eager, variant in zip(self.eager, self.variant, strict=True)
        )


def never_decided(name: str, comparison: Comparison) -> bool:
    """Every variant answers every example."""
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """Examples of one task, encoded for one release."""

    task: Task[Example]
    """The task."""
    examples: tuple[Example, ...]
    """The examples."""
    rows: tuple[Row, ...]
    """Their rows."""
    reader: ReleaseReader
    """The release, which reads the texts."""
    left_out: int = 0
    """How many examples were left out because they do not fit the model."""
    repeated: int = 0
    """How many examples were left out because the model reads the same in an earlier one."""

    @classmethod
    def of(cls, task: Task[Example], examples: tuple[Example, ...], reader: ReleaseReader) -> "Evaluation":
        """Encode `examples`; raises DataError for one that does not fit the model's vocabulary or spans."""
        rows = (row for index, example in enumerate(examples) for row in task.rows(example, index, reader))
        return cls(task=task, examples=examples, rows=tuple(rows), reader=reader)

    @classmethod
    def of_fitting(
        cls, task: Task[Example], examples: tuple[Example, ...], reader: ReleaseReader
    ) -> "Evaluation | None":
        """Encode those of `examples` that fit the model, for texts that were not written for it; None if none fits."""
        fitting = []
        for example in examples:
            with contextlib.suppress(DataError):
                if len(task.rows(example, 0, reader)) <= MOST_PARTS:
                    fitting.append(example)
        if not fitting:
            return None
        return replace(cls.of(task, tuple(fitting), reader), left_out=len(examples) - len(fitting))

    def without_repeats(self) -> "Evaluation":
        """The same without examples in which the model reads the same tokens as in an earlier one.

        A model answers them alike, so they show nothing more of it: intervals assume that examples are independent.
        """
        rows: dict[int, list[Row]] = {}
        for row in self.rows:
            rows.setdefault(row.example, []).append(row)
        first: dict[bytes, int] = {}
        for example, own in rows.items():
            first.setdefault(_digest(own), example)
        kept = {example: number for number, example in enumerate(sorted(first.values()))}
        return replace(
            self,
            examples=tuple(self.examples[example] for example in kept),
            rows=tuple(replace(row, example=kept[row.example]) for row in self.rows if row.example in kept),
            repeated=self.repeated + len(self.examples) - len(kept),
        )

    @property
    def truncated(self) -> int:
        """How many examples were too long and were cut."""
        return len({row.example for row in self.rows if row.truncated})

    def looks(self, gates: Gates) -> tuple[Look, ...]:
        """When accuracy is judged: once if there are no labels, or if examples can only be scored together."""
        if not self.task.labelled or self.task.scored_together:
            return (single_look(len(self.examples), gates.confidence),)
        return plan_looks(
            len(self.examples), count=gates.looks, margin=gates.margin, confidence=gates.confidence
        )

    def compare(
        self,
        eager: EagerRun,
        variants: Mapping[str, Run],
        tallies: Mapping[str, Sequence[Tally]],
        *,
        looks: Sequence[Look],
        workers: int,
        progress: Callable[[int, int], None],
        decided: Callable[[str, Comparison], bool] = never_decided,
    ) -> dict[str, Comparison]:
        """Feed every batch to eager PyTorch once and to each variant, and add the differences to the tallies.

        A variant has one tally for each output, in eager PyTorch's order. Examples are answered in a random order that
        is always the same, which makes sorted data harmless. At each of `looks` every variant is compared on the
        examples that it has answered. A variant that is `decided` answers no more; the last look is at all examples.

        `workers` batches are answered at once, each on threads of its own: small kernels are faster that way than with
        all threads on one batch, and do not wait for each other on a busy machine. `progress` receives the number of
        rows that are answered and the number of all rows. Raises UnusableReferenceError and ArtifactError.
        """
        undecided = dict(variants)
        reference: dict[int, Array] = {}
        arrays: dict[str, dict[int, Array]] = {name: {} for name in variants}
        comparisons: dict[str, Comparison] = {}
        pool = ThreadPoolExecutor(workers)
        try:
            for look in looks:
                part = self._part(look)
                missing = [position for position in part.positions if position not in reference]
                answer_batch = functools.partial(
                    answer, self.task, self.rows, eager=eager, variants=dict(undecided), tallies=tallies
                )
                for answers in pool.map(answer_batch, self._batches(missing)):
                    reference |= answers.eager
                    for name, variant in answers.variants.items():
                        arrays[name] |= variant.arrays
                        for tally, difference in zip(tallies[name], variant.differences, strict=True):
                            tally.add(difference)
                    progress(len(reference), len(self.rows))
                comparisons |= part.compared(reference, {name: arrays[name] for name in undecided})
                undecided = {
                    name: run for name, run in undecided.items() if not decided(name, comparisons[name])
                }
                if not undecided:
                    break
        finally:
            # After an error or Ctrl-C, the batches that have not begun must not begin.
            pool.shutdown(cancel_futures=True)
        return comparisons

    def _part(self, look: Look) -> "_Part":
        """The examples up to `look`."""
        order = np.random.default_rng(SEED).permutation(len(self.examples))
        chosen = sorted(order[: look.examples].tolist())
        numbers = {example: number for number, example in enumerate(chosen)}
        positions = tuple(place for place, row in enumerate(self.rows) if row.example in numbers)
        return _Part(
            look=look,
            positions=positions,
            evaluation=replace(
                self,
                examples=tuple(self.examples[example] for example in chosen),
                rows=tuple(
                    replace(self.rows[place], example=numbers[self.rows[place].example])
                    for place in positions
                ),
            ),
        )

    def _batches(self, positions: Sequence[int]) -> Iterator[Batch]:
        """Batches of the rows at `positions`, each row once."""
        for batch in batches([self.rows[place] for place in positions], self.reader):
            yield replace(batch, positions=tuple(positions[place] for place in batch.positions))

    def answers(self, arrays: Mapping[int, Array]) -> Answers:
        """The answers to all rows, from what scoring needs of each row, by the row's position."""
        return Answers(rows=self.rows, arrays=tuple(arrays[position] for position in range(len(self.rows))))

    def compared(self, look: Look, eager: Answers, variants: Mapping[str, Answers]) -> dict[str, Comparison]:
        """Each variant's answers to these examples beside eager PyTorch's, by the variant's name."""
        scores = self._scores(eager, eager)
        chance = self._chance(eager)
        by_class = self._class_answers(eager)
        expected = self.decisions(eager)
        return {
            name: Comparison(
                look=look,
                eager=scores,
                variant=self._scores(variant, eager),
                agreed=int(np.count_nonzero(expected == self.decisions(variant))),
                decisions=len(expected),
                classifies=self.task.classifies,
                chance=chance,
                renaming=renaming(by_class)
                if by_class is not None and self.task.classifies and len(by_class.labels) > 1
                else None,
                class_losses=self._class_losses(by_class, variant),
                calibration=self._calibration(eager, variant),
                cosines=tuple(map(float, self.task.cosines(variant, eager))),
                unjudged=self.task.unjudged(self.rows) if self.task.labelled else "",
            )
            for name, variant in variants.items()
        }

    def decisions(self, answers: Answers) -> Indices:
        """The answers that an application would get, one whole number each."""
        return self.task.decisions(self.examples, answers, self.reader)

    def _scores(self, answers: Answers, eager: Answers) -> tuple[Score, ...]:
        if not self.task.labelled:
            return ()
        return self.task.scores(self.examples, answers, eager, self.reader)

    def _chance(self, eager: Answers) -> Score | None:
        """Eager PyTorch's primary metric beside the truths of other examples."""
        pair = self.task.beside_other_truths(self.examples, eager) if self.task.labelled else None
        if pair is None:
            return None
        examples, answers = pair
        return self.task.scores(examples, answers, answers, self.reader)[0]

    def _class_answers(self, answers: Answers) -> ClassAnswers | None:
        return self.task.class_answers(self.examples, answers, self.reader) if self.task.labelled else None

    def _class_losses(self, eager: ClassAnswers | None, variant: Answers) -> tuple[ClassLoss, ...]:
        by_class = self._class_answers(variant)
        return () if eager is None or by_class is None else class_losses(eager, by_class)

    def _calibration(self, eager: Answers, variant: Answers) -> tuple[Score, Score] | None:
        if not self.task.labelled:
            return None
        scores = [self.task.calibration(self.examples, answers) for answers in (eager, variant)]
        return None if scores[0] is None or scores[1] is None else (scores[0], scores[1])


def _digest(rows: Sequence[Row]) -> bytes:
    """A digest of the tokens of one example."""
    digest = hashlib.sha256()
    for row in rows:
        for encoding in row.encodings:
            digest.update(f"{row.part} {len(encoding.ids)} ".encode())
            digest.update(np.asarray(encoding.ids, dtype=np.int64).tobytes())
    return digest.digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """The examples of an evaluation up to one look."""

    look: Look
    """The look."""
    positions: tuple[int, ...]
    """The positions of its rows in the whole evaluation, in rising order."""
    evaluation: Evaluation
    """These examples and rows alone, in the same order."""

    def compared(
        self, reference: Mapping[int, Array], variants: Mapping[str, Mapping[int, Array]]
    ) -> dict[str, Comparison]:
        """Each variant beside the reference; arrays are by the row's position in the whole evaluation."""
        return self.evaluation.compared(
            self.look,
            self._answers(reference),
            {name: self._answers(arrays) for name, arrays in variants.items()},
        )

    def _answers(self, arrays: Mapping[int, Array]) -> Answers:
        return self.evaluation.answers(dict(enumerate(arrays[position] for position in self.positions)))
