"""Write the tables of the demo's releases into documents, from a table of all variants on the standard input.

`distilforge summary RELEASE... --markdown | python -m demo.release_tables` writes the whole table, a row per variant,
into docs/measurements/releases.md, and a table with a row per release into README.md.
"""

import sys
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path

from demo import tables

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
EVERY_VARIANT = ROOT / "docs" / "measurements" / "releases.md"
CPU = "onnxruntime-cpu:"
WITHHELD = "withheld"
NONE = "-"
COLUMNS = (
    "release",
    "metric",
    "fp32 / eager",
    "int8 / eager",
    "MB, fp32 / int8",
    "x eager, fp32",
    "x eager, int8",
    "engines",
)

Row = Mapping[str, str]


def rows(table: str) -> list[Row]:
    """The rows of the Markdown table `table`; a row has its cells by column."""
    columns, _, *lines = (
        [cell.strip() for cell in line.strip().strip("|").split("|")] for line in table.strip().splitlines()
    )
    return [dict(zip(columns, cells, strict=True)) for cells in lines]


def by_release(table: str) -> str:
    """A table with a row per release, from `table`, which has a row per variant."""
    grouped = groupby(rows(table), key=lambda row: row["release"])
    return tables.table(COLUMNS, (_row(name, list(variants)) for name, variants in grouped))


def _row(release: str, variants: Sequence[Row]) -> tuple[str, ...]:
    fp32, int8 = (
        next((row for row in variants if row["variant"] == CPU + precision), None)
        for precision in ("fp32", "int8")
    )
    first = fp32 or variants[0]
    return (
        release,
        first["metric"],
        _answers(fp32),
        _answers(int8),
        f"{_cell(fp32, 'MB')} / {_cell(int8, 'MB')}",
        _cell(fp32, "x eager"),
        _cell(int8, "x eager"),
        _engines(variants),
    )


def _cell(row: Row | None, column: str) -> str:
    if row is None:
        return NONE
    # A variant that is withheld has no files, and so no size
    return WITHHELD if row["MB"] == NONE else row[column]


def _answers(row: Row | None) -> str:
    """The metric of the variant beside eager's on the same examples: each variant is judged on as many as it needs."""
    value = _cell(row, "variant's")
    return value if row is None or value == WITHHELD else f"{value} / {row['eager']}"


def _engines(variants: Sequence[Row]) -> str:
    """The targets and precisions of the engines, with their verdicts."""
    engines = [(row["variant"].split(":"), row["verdict"]) for row in variants if row["engine for"] != NONE]
    precisions: dict[tuple[str, str], list[str]] = {}
    for (target, precision), verdict in engines:
        precisions.setdefault((target, verdict), []).append(precision)
    return (
        "; ".join(
            f"{target} {', '.join(names)}: {verdict}" for (target, verdict), names in precisions.items()
        )
        or NONE
    )


if __name__ == "__main__":
    variant_table = sys.stdin.read()
    tables.write_table(EVERY_VARIANT, variant_table)
    tables.write_table(README, by_release(variant_table))
