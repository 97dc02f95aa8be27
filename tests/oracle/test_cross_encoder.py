"""Scores of cross-encoders: the release's against CrossEncoder.predict, with every activation that it can have."""

import json
from pathlib import Path

import distilforge
import numpy as np
import pytest
import torch
from distilforge import SequenceClassification
from sentence_transformers import CrossEncoder

from tests.conftest import MakeCheckpoint
from tests.runtime_release import read_manifest, record_again, write_release

PAIRS = [
    ("good movie", "the film was great"),
    ("what city", "paris"),
    ("", "a"),
    ("the dog", "the cat " * 40),
]


@pytest.mark.parametrize("activation", [None, torch.nn.Identity(), torch.nn.Sigmoid()])
def test_scores_equal(
    activation: torch.nn.Module | None, make_checkpoint: MakeCheckpoint, tmp_path: Path
) -> None:
    base = make_checkpoint("sequence_classification", folder=tmp_path / "base", num_labels=1)
    oracle = CrossEncoder(str(base), num_labels=1, activation_fn=activation, device="cpu")
    saved = tmp_path / "saved"
    oracle.save_pretrained(str(saved))
    # The library's tokenizer does not write it
    (saved / "vocab.txt").write_bytes((base / "vocab.txt").read_bytes())
    release = write_release(saved, tmp_path / "release")
    # A build writes what the activation means into config.json; `write_release` copies the checkpoint's
    config = json.loads((saved / "config.json").read_text(encoding="utf-8"))
    config["problem_type"] = read_manifest(release).problem_type
    (release / "config.json").write_text(json.dumps(config), encoding="utf-8")
    record_again(release)
    session = distilforge.open(release, head=SequenceClassification, threads=1)
    scores = [result.score for result in session(PAIRS, truncation="truncate")]
    expected = oracle.predict(PAIRS, show_progress_bar=False)
    # Float32 in another order of sums; a sigmoid in place of the logits is off by 0.1 and more
    np.testing.assert_allclose(scores, expected, rtol=0, atol=1e-5)
