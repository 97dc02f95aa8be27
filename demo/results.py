"""The results table of demo/README.md, made from demo/deltas/training.json: `python -m demo.results`."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TypedDict, cast

from demo.assemble import DELTAS

README = Path(__file__).with_name("README.md")
BEGIN, END = "<!-- results -->\n", "<!-- end of results -->\n"
TRAINING = DELTAS / "training.json"


class Entry(TypedDict):
    """What training.json says of a head."""

    chief_metric: str
    evaluation: Mapping[str, float]
    baselines: Mapping[str, float]
    minutes: float
    ended: str


def table() -> str:
    """A row a head: what the assembled checkpoint scores on the evaluation set, beside the baselines."""
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
    """Put the Markdown table `rows` between the markers of `document`."""
    before, rest = document.read_text(encoding="utf-8").split(BEGIN)
    _, after = rest.split(END)
    document.write_text(before + BEGIN + rows + END + after, encoding="utf-8")


if __name__ == "__main__":
    write_table(README, table())
