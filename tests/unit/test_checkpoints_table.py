"""Every row of docs/checkpoints.md names a test that exists."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
TABLE = ROOT / "docs" / "checkpoints.md"
ROW = re.compile(r"\| (?P<what>.+) \| .+ \| `(?P<path>\S+\.py)::(?P<name>test_\w+)` \|")
HEADS = ("| what |", "|---|")


def rows() -> list[str]:
    lines = TABLE.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line.startswith("|") and not line.startswith(HEADS)]


def test_every_row_names_a_test() -> None:
    assert len(rows()) > 40
    assert [row for row in rows() if not ROW.fullmatch(row)] == []


def test_the_tests_exist() -> None:
    absent = []
    for row in rows():
        if (match := ROW.fullmatch(row)) is None:
            continue
        path = ROOT / match["path"]
        names = (
            {
                node.name
                for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
                if isinstance(node, ast.FunctionDef)
            }
            if path.exists()
            else set()
        )
        if match["name"] not in names:
            absent.append(row)
    assert absent == []
