"""Markdown can be read in an editor and in a diff, and names tests that exist."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LONGEST = 120
# An address cannot be broken over lines
ADDRESS_ALONE = re.compile(r"\s*(?:[-*] |\[\S+\]: |<)?https?://\S+")

TESTS = ("unit", "integration", "oracle", "gpu", "emulation")


def documents() -> list[Path]:
    """What git tracks, and what it does not ignore and will be asked to track."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    return [path for name in listed if (path := ROOT / name).exists()]


def too_long(text: str) -> list[str]:
    """The lines of `text` that are longer than allowed, with their numbers."""
    return [
        f"line {number} has {len(line)} columns: {line}"
        for number, line in enumerate(text.splitlines(), start=1)
        if len(line) > LONGEST and not line.lstrip().startswith("|") and not ADDRESS_ALONE.fullmatch(line)
    ]


@pytest.mark.parametrize("document", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_line_is_too_long(document: Path) -> None:
    assert too_long(document.read_text(encoding="utf-8")) == []


def test_tables_and_addresses_alone_may_be_longer() -> None:
    long = "x" * LONGEST
    assert too_long(f"{long}\n| {long} |\n- https://example.org/{long}\n") == []
    assert too_long(f"short\n{long} y\n") == [f"line 2 has {LONGEST + 2} columns: {long} y"]
    assert too_long(f"see https://example.org/{long}") != []


@pytest.mark.parametrize("document", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_the_tests_that_it_names_exist(document: Path) -> None:
    names = re.findall(rf"`(?:tests/)?((?:{'|'.join(TESTS)})/[\w./]+)", document.read_text(encoding="utf-8"))
    assert [name for name in names if not (ROOT / "tests" / name).exists()] == []
