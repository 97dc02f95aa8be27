"""Write the results of the trainings into demo/README.md, from demo/deltas/training.json.

`python -m demo.training_table` does it; `python -m demo.train` does it after each training.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TypedDict, cast

from demo import tables
from demo.assemble import DELTAS

README = Path(__file__).with_name("README.md")
TRAINING = DELTAS / "training.json"
COLUMNS = (
    "head",
    "metric",
    "result",
    "chance",
    "majority",
    "other metrics",
    "minutes",
    "training ended because",
)


class Entry(TypedDict):
    """The entry of a head in training.json."""

    chief_metric: str
    """The name of the metric that the head is judged by."""
    evaluation: Mapping[str, float]
    """The metrics on the evaluation set, by name."""
    baselines: Mapping[str, float]
    """The metrics of guesses, by `chance_` or `majority_` and the metric's name."""
    minutes: float
    """How long the training took."""
    ended: str
    """Why the training ended."""


def table() -> str:
    """A row per head: the metrics of its assembled checkpoint on the evaluation set, and the baselines."""
    entries = cast(dict[str, Entry], json.loads(TRAINING.read_text(encoding="utf-8")))
    return tables.table(COLUMNS, [_row(head, entry) for head, entry in sorted(entries.items())])


def _row(head: str, entry: Entry) -> tuple[str, ...]:
    chief = entry["chief_metric"]
    others = ", ".join(
        f"{name} {_number(value)}" for name, value in entry["evaluation"].items() if name != chief
    )
    baselines = [
        _number(entry["baselines"][name]) if (name := f"{kind}_{chief}") in entry["baselines"] else ""
        for kind in ("chance", "majority")
    ]
    result = _number(entry["evaluation"][chief])
    return (head, chief, result, *baselines, others, f"{entry['minutes']:g}", entry["ended"])


def _number(value: float) -> str:
    return f"{value:.1f}" if value >= 10 else f"{value:.3f}" if value >= 0.001 else f"{value:.1g}"


if __name__ == "__main__":
    tables.write_table(README, table())
