"""One batch through eager PyTorch and every variant: what scoring needs of the answers, and how far they differ."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from validation.answers.agreement import Difference, Tally, difference, without_non_finite
from validation.answers.batches import Batch, Bools, EagerRun, Run
from validation.statistics.metrics import Array
from validation.tasks.base import Example, Outputs, Row, Task


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantAnswers:
    """A variant's answers to one batch."""

    arrays: Mapping[int, Array]
    """What scoring needs of each row, by the row's position."""
    differences: tuple[Difference, ...]
    """The differences from eager PyTorch, one for each of the variant's tallies."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchAnswers:
    """The answers of eager PyTorch and of every variant to one batch."""

    eager: Mapping[int, Array]
    """What scoring needs of each row, by the row's position."""
    variants: Mapping[str, VariantAnswers]
    """The variants' answers, by name."""


def answer(
    task: Task[Example],
    rows: Sequence[Row],
    batch: Batch,
    *,
    eager: EagerRun,
    variants: Mapping[str, Run],
    tallies: Mapping[str, Sequence[Tally]],
) -> BatchAnswers:
    """The answers to `batch`, whose positions are those of `rows`.

    `tallies` say which outputs of each variant are compared; they are not changed here, because several threads answer
    batches. Raises UnusableReferenceError and ArtifactError.
    """
    kept = _compared_tokens(task, rows, batch)
    expected = eager(batch.feeds, kept)
    answers = {}
    for name, run in variants.items():
        outputs = run(batch.feeds)
        differences = tuple(
            difference(expected[tally.output], outputs[tally.output], batch.feeds, tally.axes, kept=kept)
            for tally in tallies[name]
        )
        if any(part.non_finite for part in differences):
            outputs = without_non_finite(outputs)
        answers[name] = VariantAnswers(
            arrays=reduced(task, rows, batch.positions, outputs), differences=differences
        )
    return BatchAnswers(eager=reduced(task, rows, batch.positions, expected), variants=answers)


def reduced(
    task: Task[Example], rows: Sequence[Row], positions: Sequence[int], outputs: Outputs
) -> dict[int, Array]:
    """What scoring needs of each row of a batch, by the row's position; a repeated row counts once."""
    return {
        position: task.reduce(rows[position], {name: array[index] for name, array in outputs.items()})
        for index, position in enumerate(positions)
    }


def _compared_tokens(task: Task[Example], rows: Sequence[Row], batch: Batch) -> Bools | None:
    """The tokens (batch, token) whose outputs are compared; None for all of them."""
    chosen = [task.compared_positions(rows[position]) for position in batch.positions]
    if any(positions is None for positions in chosen):
        return None
    kept = np.zeros(batch.feeds["input_ids"].shape, dtype=np.bool_)
    for index, positions in enumerate(chosen):
        kept[index, list(positions or ())] = True
    return kept
