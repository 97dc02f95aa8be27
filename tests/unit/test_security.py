"""The table in SECURITY.md names tests that exist."""

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]


def test_every_defence_has_its_test() -> None:
    text = (TESTS.parent / "SECURITY.md").read_text(encoding="utf-8")
    table, _, _ = text.partition("## What a signature shows")
    rows = [line for line in table.splitlines() if line.startswith("|")][2:]
    assert len(rows) > 20
    for row in rows:
        named = re.findall(r"`([a-z_/]+(?:\.py|/))`", row.rsplit("|", 2)[1])
        assert named, row
        assert [name for name in named if not (TESTS / name).exists()] == [], row
