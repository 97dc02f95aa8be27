"""Assembled checkpoints are ordinary Hugging Face folders."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import transformers

from demo import encoder
from demo.assemble import CHECKPOINTS, assemble

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("demo") / "checkpoints"
    assert assemble(output)
    return output


@pytest.mark.parametrize("name", CHECKPOINTS.values())
def test_transformers_loads_the_checkpoint(checkpoints: Path, name: str) -> None:
    folder = checkpoints / name
    architecture = json.loads((folder / "config.json").read_text(encoding="utf-8"))["architectures"][0]
    _, report = getattr(transformers, architecture).from_pretrained(folder, output_loading_info=True)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)  # type: ignore[no-untyped-call]
    encoded = tokenizer("A [MASK] of tea " * 200)
    assert not any(report.values())
    assert set(encoded) == {"input_ids", "attention_mask"}
    assert len(encoded["input_ids"]) == 802
    assert tokenizer.model_max_length == 512


def test_the_encoder_computes_what_bert_computes(checkpoints: Path) -> None:
    bert = transformers.BertModel.from_pretrained(encoder.package_folder())
    distilbert = transformers.DistilBertModel.from_pretrained(checkpoints / CHECKPOINTS["features"])
    input_ids = torch.randint(1000, 30000, (2, 40))
    with torch.no_grad():
        expected, converted = bert(input_ids).last_hidden_state, distilbert(input_ids).last_hidden_state
    assert (expected - converted).abs().max() < 5e-5


def test_nothing_is_done_twice_and_pytorch_is_not_imported_for_it(checkpoints: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from demo.assemble import assemble; "
        "print(assemble(Path(sys.argv[1])), 'torch' in sys.modules)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script, checkpoints], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert ran.stdout.split() == ["False", "False"]


def test_only_a_missing_checkpoint_is_written_again(checkpoints: Path) -> None:
    kept, lost = (checkpoints / CHECKPOINTS[head] for head in ("masked_lm", "features"))
    before = (kept / "model.safetensors").stat().st_mtime_ns
    (lost / ".assembled-from").unlink()
    assert assemble(checkpoints)
    assert (kept / "model.safetensors").stat().st_mtime_ns == before
    assert (lost / "model.safetensors").is_file()


def test_an_absent_package_is_an_error_that_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoder, "PACKAGE", "a_package_that_is_absent")
    with pytest.raises(FileNotFoundError, match="pip install"):
        encoder.package_folder()
