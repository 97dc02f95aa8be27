"""The files of a release that are written anew."""

import json
from pathlib import Path

from model_src.config import SYNONYMS
from model_src.folder import find
from pipeline.release.assemble import _write_config
from tests.conftest import MakeCheckpoint


def test_config_json_keeps_what_the_checkpoint_has_beside_the_models_fields(
    make_checkpoint: MakeCheckpoint, tmp_path: Path
) -> None:
    folder = make_checkpoint("features", tokenizer=False, n_layers=1)
    path = folder / "config.json"
    # JSON holds half of a surrogate pair, which UTF-8 does not
    note = {"note": "Ж, and half \ud800"}
    path.write_text(json.dumps({**json.loads(path.read_text()), **note}), encoding="utf-8")
    checkpoint = find(folder)
    _write_config(checkpoint, checkpoint.configuration(), "DistilBertModel", tmp_path / "config.json")
    written = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    assert written["note"] == note["note"]
    assert written["architectures"] == ["DistilBertModel"]
    assert SYNONYMS.keys() <= written.keys()
