"""A DistilBERT-base classifier with random weights, as a checkpoint folder: speed does not depend on the weights."""

import json
import shutil
from pathlib import Path

from bench.sizes import SIZES

SEED = 20
HEAD = "sequence_classification"
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def write(folder: Path) -> None:
    """Write config.json, model.safetensors and a tokenizer whose words are made up."""
    import torch

    from model_src import heads
    from model_src.checkpoint import save_checkpoint
    from model_src.initialize import initialize

    torch.manual_seed(SEED)
    model = heads.find(HEAD)(SIZES, "eager")
    initialize(model, SIZES)
    save_checkpoint(model, folder)
    words = (*SPECIAL, *(f"word{number}" for number in range(SIZES.vocab_size - len(SPECIAL))))
    (folder / "vocab.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
    settings = {
        "tokenizer_class": "DistilBertTokenizer",
        "do_lower_case": True,
        "model_max_length": SIZES.max_position_embeddings,
        "model_input_names": ["input_ids", "attention_mask"],
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")


def copy(checkpoint: Path, folder: Path) -> None:
    """What prepares a subject that reads the checkpoint itself."""
    shutil.copytree(checkpoint, folder, dirs_exist_ok=True)
