"""The tables of the demo's releases: `distilforge summary RELEASE... --markdown | python -m demo.release_tables`.

docs/measurements/releases.md has what is on stdin, a row a variant; README.md has a row a release.
"""

import sys
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path

from demo.results import write_table

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
EVERY_VARIANT = ROOT / "docs" / "measurements" / "releases.md"
CPU = "onnxruntime-cpu:"
WITHHELD = "withheld"
NONE = "-"
COLUMNS = (
    "release",
    "metric",
    "eager",
    "fp32",
    "int8",
    "MB, fp32 / int8",
    "x eager, fp32",
    "x eager, int8",
    "engines",
)

Row = Mapping[str, str]


def rows(table: str) -> list[Row]:
    """The rows of the Markdown table `table`, each cell by its column's name."""
    columns, _, *lines = (
        [cell.strip() for cell in line.strip().strip("|").split("|")] for line in table.strip().splitlines()
    )
    return [dict(zip(columns, cells, strict=True)) for cells in lines]


def by_release(table: str) -> str:
    """A row a release of `table`, which has a row a variant."""
    grouped = groupby(rows(table), key=lambda row: row["release"])
    lines = [COLUMNS, ["---"] * len(COLUMNS), *(_row(name, list(variants)) for name, variants in grouped)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _row(release: str, variants: Sequence[Row]) -> tuple[str, ...]:
    fp32, int8 = (
        next((row for row in variants if row["variant"] == CPU + precision), None)
        for precision in ("fp32", "int8")
    )
    measured = fp32 or variants[0]
    return (
        release,
        measured["metric"],
        measured["eager"],
        _cell(fp32, "variant's"),
        _cell(int8, "variant's"),
        f"{_cell(fp32, 'MB')} / {_cell(int8, 'MB')}",
        _cell(fp32, "x eager"),
        _cell(int8, "x eager"),
        _engines(variants),
    )


def _cell(row: Row | None, column: str) -> str:
    if row is None:
        return NONE
    return WITHHELD if row["verdict"].startswith(WITHHELD) else row[column]


def _engines(variants: Sequence[Row]) -> str:
    """Targets and precisions of the engines, with how they fared."""
    engines = [(row["variant"].split(":"), row["verdict"]) for row in variants if row["engine for"] != NONE]
    fared: dict[tuple[str, str], list[str]] = {}
    for (target, precision), verdict in engines:
        fared.setdefault((target, verdict), []).append(precision)
    return (
        "; ".join(
            f"{target} {', '.join(precisions)}: {verdict}" for (target, verdict), precisions in fared.items()
        )
        or NONE
    )


if __name__ == "__main__":
    given = sys.stdin.read()
    write_table(EVERY_VARIANT, given)
    write_table(README, by_release(given))
