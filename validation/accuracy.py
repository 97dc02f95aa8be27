"""Evaluation texts through eager PyTorch and every variant at once: answers, differences and metrics."""

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from distilforge.manifest import Metric

from validation.agreement import Difference, Tally, difference, repaired
from validation.batches import Batch, Bools, EagerRun, Run, batches
from validation.errors import DataError
from validation.gate import Gates
from validation.metrics import Array, Indices, Score
from validation.sequential import Look, plan, single_look
from validation.tasks.base import Answers, Example, Outputs, Row, Served, Task

MOST_PARTS = 16
# Of the order in which examples are answered, so that every build looks at the same ones first
SEED = 0


def undecided(name: str, comparison: "Comparison") -> bool:
    """For those who want every example answered."""
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """How a variant answered the examples up to one look, beside eager."""

    look: Look
    """The look, which says how many examples these were."""
    eager: tuple[Score, ...]
    """Eager's metrics, the primary one first; none without labels."""
    variant: tuple[Score, ...]
    """The variant's, in the same order."""
    agreed: int
    """How many decisions are the same."""
    decisions: int
    """Of how many; 0 for heads that decide nothing."""
    classifies: bool = False
    """Whether decisions are labels."""
    cosines: tuple[float, ...] = ()
    """Of embeddings with eager's."""

    @property
    def metrics(self) -> tuple[Metric, ...]:
        return tuple(
            Metric(name=eager.name, eager=eager.value, variant=variant.value, examples=len(eager.columns))
            for eager, variant in zip(self.eager, self.variant, strict=True)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """Examples of one task, encoded for one release."""

    task: Task[Example]
    examples: tuple[Example, ...]
    rows: tuple[Row, ...]
    served: Served
    left_out: int = 0

    @classmethod
    def of(cls, task: Task[Example], examples: tuple[Example, ...], served: Served) -> "Evaluation":
        """Encode `examples`; DataError for one that the model's vocabulary or length cannot take."""
        rows = (row for index, example in enumerate(examples) for row in task.rows(example, index, served))
        return cls(task=task, examples=examples, rows=tuple(rows), served=served)

    @classmethod
    def of_those_that_fit(
        cls, task: Task[Example], examples: tuple[Example, ...], served: Served
    ) -> "Evaluation | None":
        """Encode those of somebody else's `examples` that this model can take; None where it can take none.

        One that falls into more than 16 windows counts as too long, since a model that small would spend hours.
        """
        fitting = []
        for example in examples:
            with contextlib.suppress(DataError):
                if len(task.rows(example, 0, served)) <= MOST_PARTS:
                    fitting.append(example)
        if not fitting:
            return None
        return replace(cls.of(task, tuple(fitting), served), left_out=len(examples) - len(fitting))

    @property
    def shortened(self) -> int:
        """How many examples were too long and lost their end."""
        return len({row.example for row in self.rows if row.shortened})

    def looks(self, gates: Gates) -> tuple[Look, ...]:
        """When accuracy is judged: once where there are no labels, or where a score needs all examples."""
        if not self.task.labelled or self.task.scored_together:
            return (single_look(len(self.examples), gates.confidence),)
        return plan(len(self.examples), count=gates.looks, margin=gates.margin, confidence=gates.confidence)

    def compare(
        self,
        eager: EagerRun,
        variants: Mapping[str, Run],
        tallies: Mapping[str, Sequence[Tally]],
        *,
        looks: Sequence[Look],
        workers: int,
        progress: Callable[[int, int], None],
        decided: Callable[[str, Comparison], bool] = undecided,
    ) -> dict[str, Comparison]:
        """Feed batches to eager once and to each variant, adding to its tallies, one an output in eager's order.

        Examples are answered in a random order that is always the same, so that sorted data do no harm. At each of
        `looks` every variant is compared on those that it has answered, and has no more to do where it is `decided`;
        the last look is at all examples. `workers` batches are under way at once, each on its own threads: kernels
        this small gain more by that than by sharing one batch, and do not wait for each other on a busy machine.
        `progress` is told how many rows of how many are done. Raises UnusableReferenceError and ArtifactError.
        """
        waiting = dict(variants)
        reference: dict[int, Array] = {}
        answered: dict[str, dict[int, Array]] = {name: {} for name in variants}
        compared: dict[str, Comparison] = {}
        pool = ThreadPoolExecutor(workers)
        try:
            for look in looks:
                part = self._part(look)
                new = [position for position in part.positions if position not in reference]
                ask = functools.partial(self._answer, eager=eager, variants=dict(waiting), tallies=tallies)
                for done in pool.map(ask, self._batches(new)):
                    reference |= done.eager
                    for name, variant in done.variants.items():
                        answered[name] |= variant.arrays
                        for tally, apart in zip(tallies[name], variant.differences, strict=True):
                            tally.add(apart)
                    progress(len(reference), len(self.rows))
                compared |= part.compared(reference, {name: answered[name] for name in waiting})
                waiting = {name: run for name, run in waiting.items() if not decided(name, compared[name])}
                if not waiting:
                    break
        finally:
            # After an error or Ctrl-C, batches that wait are not begun.
            pool.shutdown(cancel_futures=True)
        return compared

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
        """The rows at `positions`, each once."""
        for batch in batches([self.rows[place] for place in positions], self.served):
            yield replace(batch, positions=tuple(positions[place] for place in batch.positions))

    def _answer(
        self,
        batch: Batch,
        eager: EagerRun,
        variants: Mapping[str, Run],
        tallies: Mapping[str, Sequence[Tally]],
    ) -> "_Answered":
        kept = self._kept(batch)
        expected = eager(batch.feeds, kept)
        answered = {}
        for name, run in variants.items():
            found = run(batch.feeds)
            differences = tuple(
                difference(expected[tally.output], found[tally.output], batch.feeds, tally.axes, kept=kept)
                for tally in tallies[name]
            )
            if any(each.non_finite for each in differences):
                found = repaired(found)
            answered[name] = _VariantAnswered(
                arrays=self.reduced(batch.positions, found), differences=differences
            )
        return _Answered(eager=self.reduced(batch.positions, expected), variants=answered)

    def _kept(self, batch: Batch) -> Bools | None:
        """Which tokens of the batch are compared, as the task says; None where all are."""
        chosen = [self.task.compared(self.rows[position]) for position in batch.positions]
        if any(positions is None for positions in chosen):
            return None
        kept = np.zeros(batch.feeds["input_ids"].shape, dtype=np.bool_)
        for index, positions in enumerate(chosen):
            kept[index, list(positions or ())] = True
        return kept

    def reduced(self, positions: Sequence[int], outputs: Outputs) -> dict[int, Array]:
        """What scoring needs of each row of a batch, by the row's position."""
        return {
            position: self.task.reduce(
                self.rows[position], {name: array[index] for name, array in outputs.items()}
            )
            for index, position in enumerate(positions)
        }

    def answers(self, arrays: Mapping[int, Array]) -> Answers:
        """What was kept of every row, in the rows' order."""
        return Answers(rows=self.rows, arrays=tuple(arrays[position] for position in range(len(self.rows))))

    def compared(self, look: Look, eager: Answers, variants: Mapping[str, Answers]) -> dict[str, Comparison]:
        """How the variants' answers to these examples compare with eager's."""
        scores = self._scores(eager, eager)
        expected = self.decisions(eager)
        return {
            name: Comparison(
                look=look,
                eager=scores,
                variant=self._scores(variant, eager),
                agreed=int(np.count_nonzero(expected == self.decisions(variant))),
                decisions=len(expected),
                classifies=self.task.classifies,
                cosines=tuple(map(float, self.task.cosines(variant, eager))),
            )
            for name, variant in variants.items()
        }

    def decisions(self, answers: Answers) -> Indices:
        """What an application would be told, as one whole number a decision."""
        return self.task.decisions(self.examples, answers, self.served)

    def _scores(self, answers: Answers, eager: Answers) -> tuple[Score, ...]:
        if not self.task.labelled:
            return ()
        return self.task.scores(self.examples, answers, eager, self.served)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """The examples of an evaluation up to one look."""

    look: Look
    """The look."""
    positions: tuple[int, ...]
    """Those of its rows in the whole evaluation, rising."""
    evaluation: Evaluation
    """The examples and rows alone, in the same order."""

    def compared(
        self, reference: Mapping[int, Array], answered: Mapping[str, Mapping[int, Array]]
    ) -> dict[str, Comparison]:
        """Every variant beside the reference; arrays are by the row's position in the whole evaluation."""
        return self.evaluation.compared(
            self.look,
            self._answers(reference),
            {name: self._answers(arrays) for name, arrays in answered.items()},
        )

    def _answers(self, arrays: Mapping[int, Array]) -> Answers:
        return self.evaluation.answers(dict(enumerate(arrays[position] for position in self.positions)))


@dataclass(frozen=True, slots=True, kw_only=True)
class _VariantAnswered:
    """One batch by one variant: what scoring needs of each row, by its position, and a difference an output."""

    arrays: Mapping[int, Array]
    differences: tuple[Difference, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answered:
    """One batch by eager PyTorch and by every variant."""

    eager: Mapping[int, Array]
    variants: Mapping[str, _VariantAnswered]
