"""The results that demo/README.md shows are the ones that training measured, and beat the baselines."""

import json

import pytest

from demo import tables, training_table
from demo.assemble import CHECKPOINTS


def test_the_readme_shows_the_measured_results() -> None:
    text = training_table.README.read_text(encoding="utf-8")
    assert tables.BEGIN + training_table.table() + tables.END in text


@pytest.mark.parametrize("head", CHECKPOINTS)
def test_every_head_is_clearly_above_its_baselines(head: str) -> None:
    entry = json.loads(training_table.TRAINING.read_text(encoding="utf-8"))[head]
    chief = entry["chief_metric"]
    baselines = [entry["baselines"].get(f"{kind}_{chief}", 0.0) for kind in ("chance", "majority")]
    assert entry["evaluation"][chief] > 1.5 * max(baselines)
