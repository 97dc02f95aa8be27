"""Releases, inputs and commands of the tests about `distilforge run`, which need the extra `bulk`."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import WORDS

pytest.importorskip("pyarrow", reason="needs pyarrow: pip install 'distilforge[bulk]'")
pytest.importorskip("fsspec", reason="needs fsspec: pip install 'distilforge[bulk]'")

ROWS = 10_000
BAD = {
    7: "not JSON",
    2_000: '{"text": 5}',
    5_001: '{"other": "a"}',
    9_999: json.dumps({"text": "cat " * 100}),
}


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "distilforge", "run", *map(str, arguments)]


def run(*arguments: str | Path, code: int = 0) -> str:
    """stdout of `python -m distilforge run`, which exits with `code`; stderr if it fails."""
    done = subprocess.run(
        command(*arguments), capture_output=True, text=True, timeout=300, check=False, env={**os.environ}
    )
    assert done.returncode == code, done.stderr
    # Nobody watches: there is no progress
    assert code or not done.stderr, done.stderr
    return done.stdout if code == 0 else done.stderr


def write_texts(path: Path, rows: int) -> Path:
    """JSON lines with random texts, of which the rows BAD cannot be answered."""
    words = random.Random(5)
    lines = (
        BAD.get(row) or json.dumps({"text": " ".join(words.choices(WORDS, k=words.randint(1, 12)))})
        for row in range(rows)
    )
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
