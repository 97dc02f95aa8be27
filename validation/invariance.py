"""Whether a text's answer depends on its padding and on its company: alone, padded, and batched with others."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from validation.accuracy import Evaluation
from validation.agreement import repaired
from validation.batches import Batch, Run, together
from validation.metrics import Array
from validation.report import Stability

TEXTS = 24
TOGETHER = 8
ALONE, PADDED, BATCHED = "alone", "padded", "batched"


def sample(evaluated: Evaluation) -> Evaluation:
    """At most 24 of the examples, evenly spread over their lengths."""
    rows = evaluated.rows
    order = list(
        dict.fromkeys(
            rows[position].example
            for position in sorted(range(len(rows)), key=lambda place: (rows[place].tokens, place))
        )
    )
    places = np.linspace(0, len(order) - 1, min(TEXTS, len(order))).round().astype(int)
    chosen = tuple(evaluated.examples[order[place]] for place in places)
    return Evaluation.of(evaluated.task, chosen, evaluated.served)


def measure(sampled: Evaluation, run: Run, *, workers: int) -> tuple[Stability, ...]:
    """How much the scores and decisions of every text change when it is padded, and when it is batched with others.

    Alone means a batch of itself only. Padded is the same with half as many slots again, as far as the span allows. In
    company, texts of all lengths share batches of up to 8.
    """
    told: dict[str, dict[int, Array]] = {}
    reduced: dict[str, dict[int, Array]] = {}

    def answer(batch: Batch) -> tuple[dict[int, Array], dict[int, Array]]:
        # Positions may be repeated to fill a batch that may not be smaller; the last answer stands.
        found = repaired(run(batch.feeds))
        numbers = {
            position: sampled.task.told(
                sampled.rows[position], {name: array[index] for name, array in found.items()}
            )
            for index, position in enumerate(batch.positions)
        }
        return numbers, sampled.reduced(batch.positions, found)

    with ThreadPoolExecutor(workers) as pool:
        for way, made in _ways(sampled).items():
            told[way], reduced[way] = {}, {}
            for numbers, arrays in pool.map(answer, made):
                told[way] |= numbers
                reduced[way] |= arrays
    decided = {way: sampled.decisions(sampled.answers(arrays)) for way, arrays in reduced.items()}
    return tuple(
        Stability(
            way=way,
            texts=len(sampled.examples),
            largest=max(
                sampled.task.change(alone, told[way][position]) for position, alone in told[ALONE].items()
            ),
            changed=int(np.count_nonzero(decided[way] != decided[ALONE])),
            decisions=len(decided[way]),
        )
        for way in (PADDED, BATCHED)
    )


def _ways(sampled: Evaluation) -> dict[str, list[Batch]]:
    rows, spans = sampled.rows, sampled.served.manifest.spans
    fewest, longest = spans["batch"].low, spans["sequence"].high
    alone = [[position] * fewest for position in range(len(rows))]
    return {
        ALONE: [together(each, rows, sampled.served) for each in alone],
        PADDED: [
            together(each, rows, sampled.served, tokens=min(longest, -(-3 * rows[each[0]].tokens // 2)))
            for each in alone
        ],
        BATCHED: [
            together(each, rows, sampled.served)
            for each in _mixed(sampled, max(fewest, min(TOGETHER, spans["batch"].high)))
        ],
    }


def _mixed(sampled: Evaluation, size: int) -> Iterator[Sequence[int]]:
    """Batches of at most `size` rows of many lengths and of as many choices; a short last one is filled up."""
    fewest = sampled.served.manifest.spans["batch"].low
    for choices in sorted({len(row.encodings) for row in sampled.rows}):
        alike = [position for position, row in enumerate(sampled.rows) if len(row.encodings) == choices]
        alike.sort(key=lambda position: sampled.rows[position].tokens)
        count = -(-len(alike) // size)
        for start in range(count):
            group = alike[start::count]
            yield [*group, *[group[-1]] * (fewest - len(group))]
