"""Write the table of results into demo/README.md, from demo/deltas/training.json: `python -m demo.results`."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TypedDict, cast

from demo.assemble import DELTAS

README = Path(__file__).with_name("README.md")
BEGIN, END = "<!-- results -->\n", "<!-- end of results -->\n"
TRAINING = DELTAS / "training.json"


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
    rows = [_row(head, entry) for head, entry in sorted(entries.items())]
    heading = (
        "| head | metric | result | chance | majority | other metrics | minutes | training ended because |"
    )
    return "\n".join([heading, "|---|---|---|---|---|---|---|---|", *rows]) + "\n"


def _row(head: str, entry: Entry) -> str:
    chief = entry["chief_metric"]
    others = ", ".join(
        f"{name} {_number(value)}" for name, value in entry["evaluation"].items() if name != chief
    )
    baselines = [
        _number(entry["baselines"][name]) if (name := f"{kind}_{chief}") in entry["baselines"] else ""
        for kind in ("chance", "majority")
    ]
    cells = (head, chief, _number(entry["evaluation"][chief]), *baselines, others, f"{entry['minutes']:g}")
    return f"| {' | '.join(cells)} | {entry['ended']} |"


def _number(value: float) -> str:
    return f"{value:.1f}" if value >= 10 else f"{value:.3f}" if value >= 0.001 else f"{value:.1g}"


def write_table(document: Path, rows: str) -> None:
    """Replace the text between the markers of `document` by the Markdown table `rows`."""
    before, rest = document.read_text(encoding="utf-8").split(BEGIN)
    _, after = rest.split(END)
    document.write_text(before + BEGIN + rows + END + after, encoding="utf-8")


if __name__ == "__main__":
    write_table(README, table())
