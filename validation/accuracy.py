"""Evaluation texts through eager PyTorch and every variant at once: answers, differences and metrics."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from distilforge.manifest import Metric

from validation.agreement import Difference, Tally, difference, repaired
from validation.batches import Batch, Bools, EagerRun, Run, batches
from validation.errors import DataError
from validation.metrics import Array, Indices, Score
from validation.tasks.base import Answers, Example, Outputs, Row, Served, Task

MOST_PARTS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A variant's scores beside eager's, the primary one first, and how often both decide alike.

    `agreed` of `decisions` decisions are the same; both are 0 for heads that decide nothing. `classifies` says that
    they are labels. `cosines` are those of embeddings with eager's. Without labels there are no scores.
    """

    eager: tuple[Score, ...]
    variant: tuple[Score, ...]
    agreed: int
    decisions: int
    classifies: bool = False
    cosines: tuple[float, ...] = ()

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

    def compare(
        self,
        eager: EagerRun,
        variants: Mapping[str, Run],
        tallies: Mapping[str, Sequence[Tally]],
        *,
        workers: int,
        progress: Callable[[int, int], None],
        part: "Part | None" = None,
    ) -> dict[str, Comparison]:
        """Feed every batch to eager once and to each variant, adding to its tallies, one an output in eager's order.

        The variants that `part` names answer its examples first, and the others where those do not settle how they
        compare. `workers` batches are under way at once, each on its
        own threads: kernels this small gain more by that than by sharing one batch, and do not wait for each other on
        a busy machine. `progress` is told how many rows of how many are done. Raises UnusableReferenceError and
        ArtifactError.
        """
        reference: dict[int, Array] = {}
        answered: dict[str, dict[int, Array]] = {name: {} for name in variants}

        def answer(batch: Batch) -> _Answered:
            asked = {
                name: run
                for name, run in variants.items()
                if part is None or name not in part.names or part.positions.issuperset(batch.positions)
            }
            return self._answer(batch, eager, asked, tallies)

        pool = ThreadPoolExecutor(workers)
        try:
            for done in pool.map(answer, self._batches(part)):
                reference |= done.eager
                for name, variant in done.variants.items():
                    answered[name] |= variant.arrays
                    for tally, found in zip(tallies[name], variant.differences, strict=True):
                        tally.add(found)
                progress(len(reference), len(self.rows))
        finally:
            # After an error or Ctrl-C, batches that wait are not begun.
            pool.shutdown(cancel_futures=True)
        few = part.names if part is not None else ()
        compared = self._compared(
            self.answers(reference),
            {name: self.answers(arrays) for name, arrays in answered.items() if name not in few},
        )
        if part is None:
            return compared
        chosen = part.evaluation

        def answers(arrays: Mapping[int, Array]) -> Answers:
            return chosen.answers(dict(enumerate(arrays[position] for position in sorted(part.positions))))

        partial = {name: answers(arrays) for name, arrays in answered.items() if name in few}
        compared |= chosen._compared(answers(reference), partial)
        unsettled = {name: variants[name] for name in few if not part.settled(compared[name])}
        for name, run in unsettled.items():
            answered[name] |= self._rest(run, part, workers)
        return compared | self._compared(
            self.answers(reference), {name: self.answers(answered[name]) for name in unsettled}
        )

    def _rest(self, run: Run, part: "Part", workers: int) -> dict[int, Array]:
        """What `run` answers to the rows outside of `part`, by their positions."""
        outside = [batch for batch in self._batches(part) if not part.positions.issuperset(batch.positions)]
        arrays: dict[int, Array] = {}
        pool = ThreadPoolExecutor(workers)
        try:
            for reduced in pool.map(
                lambda batch: self.reduced(batch.positions, repaired(run(batch.feeds))), outside
            ):
                arrays |= reduced
        finally:
            pool.shutdown(cancel_futures=True)
        return arrays

    def part(self, names: Sequence[str], count: int, settled: "Callable[[Comparison], bool]") -> "Part":
        """At most `count` of the examples, evenly spread, for the variants `names`; the rest where not `settled`."""
        places = np.linspace(0, len(self.examples) - 1, min(count, len(self.examples))).round().astype(int)
        chosen = set(places.tolist())
        return Part(
            names=frozenset(names),
            settled=settled,
            positions=frozenset(place for place, row in enumerate(self.rows) if row.example in chosen),
            evaluation=Evaluation.of(
                self.task, tuple(self.examples[place] for place in sorted(chosen)), self.served
            ),
        )

    def _batches(self, part: "Part | None") -> Iterator[Batch]:
        """All rows, each once; those of `part` in batches of their own."""
        if part is None:
            yield from batches(self.rows, self.served)
            return
        inside = sorted(part.positions)
        outside = [position for position in range(len(self.rows)) if position not in part.positions]
        for places in (inside, outside):
            for batch in batches([self.rows[place] for place in places], self.served):
                yield replace(batch, positions=tuple(places[position] for position in batch.positions))

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

    def _compared(self, eager: Answers, variants: Mapping[str, Answers]) -> dict[str, Comparison]:
        scores = self._scores(eager, eager)
        expected = self.decisions(eager)
        return {
            name: Comparison(
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
class Part:
    """Some of an evaluation's examples: all that the variants `names` answer, where those settle how they compare.

    `positions` are the rows' in the whole evaluation; `evaluation` has the examples and rows alone, in the same order.
    """

    names: frozenset[str]
    settled: Callable[[Comparison], bool]
    positions: frozenset[int]
    evaluation: Evaluation


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
