"""Whether the answer to a text depends on its padding or on the rest of its batch."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from validation.answers.accuracy import Evaluation
from validation.answers.agreement import without_non_finite
from validation.answers.answering import reduced
from validation.answers.batches import Batch, Run, padded_batch
from validation.reports.report import Stability
from validation.statistics.metrics import Array

TEXTS = 24
"""How many texts are answered in each way."""
BATCH = 8
"""How many rows share a batch, unless the span allows fewer."""
ALONE, PADDED, BATCHED = "alone", "padded", "batched"


def sample(evaluation: Evaluation) -> Evaluation:
    """At most 24 of the examples, evenly spread over their lengths."""
    rows = evaluation.rows
    by_length = sorted(range(len(rows)), key=lambda place: (rows[place].tokens, place))
    order = list(dict.fromkeys(rows[position].example for position in by_length))
    places = np.linspace(0, len(order) - 1, min(TEXTS, len(order))).round().astype(int)
    chosen = tuple(evaluation.examples[order[place]] for place in places)
    return Evaluation.of(evaluation.task, chosen, evaluation.reader)


def measure(sampled: Evaluation, run: Run, *, workers: int) -> tuple[Stability, ...]:
    """How much scores and decisions change when a text is padded, and when it is batched with others.

    Alone, a text is the only one in its batch and has no padding. Padded, it has half as many token slots again, but
    no more than the span allows. Batched, texts of all lengths share batches of up to 8. `workers` batches are answered
    at once.
    """
    scores: dict[str, dict[int, Array]] = {}
    arrays: dict[str, dict[int, Array]] = {}

    def answer(batch: Batch) -> tuple[dict[int, Array], dict[int, Array]]:
        """The scores of each row, and the numbers that determine its decision; a repeated row counts once."""
        outputs = without_non_finite(run(batch.feeds))
        row_scores = {
            position: sampled.task.row_scores(
                sampled.rows[position], {name: array[index] for name, array in outputs.items()}
            )
            for index, position in enumerate(batch.positions)
        }
        return row_scores, reduced(sampled.task, sampled.rows, batch.positions, outputs)

    with ThreadPoolExecutor(workers) as pool:
        for way, batches in _ways(sampled).items():
            scores[way], arrays[way] = {}, {}
            for batch_scores, batch_arrays in pool.map(answer, batches):
                scores[way] |= batch_scores
                arrays[way] |= batch_arrays
    decisions = {way: sampled.decisions(sampled.answers(rows)) for way, rows in arrays.items()}
    return tuple(
        Stability(
            way=way,
            texts=len(sampled.examples),
            largest=max(
                sampled.task.score_change(alone, scores[way][position])
                for position, alone in scores[ALONE].items()
            ),
            changed=int(np.count_nonzero(decisions[way] != decisions[ALONE])),
            decisions=len(decisions[way]),
        )
        for way in (PADDED, BATCHED)
    )


def _ways(sampled: Evaluation) -> dict[str, list[Batch]]:
    """The batches of each way to feed the rows."""
    rows, spans = sampled.rows, sampled.reader.spans
    smallest, longest = spans["batch"].low, spans["sequence"].high
    return {
        # A batch that may not hold one row alone is filled up with the same row.
        ALONE: [padded_batch([position] * smallest, rows, sampled.reader) for position in range(len(rows))],
        PADDED: [
            padded_batch(
                [position] * smallest, rows, sampled.reader, tokens=min(longest, -(-3 * row.tokens // 2))
            )
            for position, row in enumerate(rows)
        ],
        BATCHED: [
            padded_batch(positions, rows, sampled.reader)
            for positions in _mixed(sampled, max(smallest, min(BATCH, spans["batch"].high)))
        ],
    }


def _mixed(sampled: Evaluation, size: int) -> Iterator[Sequence[int]]:
    """Batches of at most `size` rows, of many lengths and the same number of choices.

    A batch with fewer rows than the span allows is filled up with its last row.
    """
    smallest = sampled.reader.spans["batch"].low
    for choices in sorted({len(row.encodings) for row in sampled.rows}):
        same_choices = [
            position for position, row in enumerate(sampled.rows) if len(row.encodings) == choices
        ]
        same_choices.sort(key=lambda position: sampled.rows[position].tokens)
        count = -(-len(same_choices) // size)
        for start in range(count):
            group = same_choices[start::count]
            yield [*group, *[group[-1]] * (smallest - len(group))]
