"""A build compares token ids with transformers': other ids are refused, and without a comparison nothing is claimed."""

import json
import sys
from pathlib import Path

import pytest
from distilforge.release import verify

from model_src.errors import CheckpointError
from pipeline.build import build
from pipeline.recipe.recipe import Recipe
from pipeline.release import tokenizer
from tests.integration.conftest import Listener, prepare_export
from validation.reports.report import Report


def test_other_token_ids_are_not_published(
    tiny: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    artifacts = tmp_path / "artifacts"
    prepare_export(tiny, artifacts)
    settings = Path(tiny.checkpoint) / "tokenizer_config.json"
    settings.write_text(json.dumps(json.loads(settings.read_text()) | {"do_lower_case": False}))
    # A fault in what makes tokenizer.json
    monkeypatch.setattr(tokenizer, "_align", lambda *arguments: False)
    with pytest.raises(
        CheckpointError, match=r"other token ids than those of transformers(.|\n)*\n  release  "
    ):
        build(tiny, artifacts, Listener())
    assert not (artifacts / "tiny").exists()


def test_without_transformers_the_check_is_not_settled(
    tiny: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    artifacts = tmp_path / "artifacts"
    prepare_export(tiny, artifacts)
    with monkeypatch.context() as context:
        context.setitem(sys.modules, "transformers", None)
        built = build(tiny, artifacts, listener := Listener())
        build(tiny, artifacts, again := Listener())
    says = "Token ids were not compared with transformers: transformers is not installed"
    for notes in (listener.notes, again.notes):
        assert any(note.startswith(says) for note in notes)
    manifest = verify(built.folder)
    assert manifest.validated
    outcomes = {verdict.kind: verdict.outcome for verdict in manifest.variants[0].verdicts}
    assert outcomes["token ids"] == "not settled"
    report = Report.from_json((built.folder / "validation" / "report.json").read_text(encoding="utf-8"))
    assert report.notes[-1].startswith(says)
    assert "**The token ids are not settled**" in (built.folder / "README.md").read_text(encoding="utf-8")
    assert "tokens" in again.reused

    # Once it is installed, the ids are compared
    build(tiny, artifacts, compared := Listener())
    assert "tokens" in compared.worked
