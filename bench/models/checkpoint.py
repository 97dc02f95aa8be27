"""A DistilBERT-base classifier with random weights, as a checkpoint folder."""

import json
import shutil
from pathlib import Path

from bench.models.sizes import CONFIG

SEED = 21
"""Of the weights, and in the name of the folder: other weights need another number."""
SPREAD = 0.1
"""The standard deviation of biases, and of the weights of layer norms around 1."""
HEAD = "sequence_classification"
SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def write(folder: Path) -> None:
    """Write config.json, model.safetensors and the files of a tokenizer with made-up words."""
    import torch

    from model_src import heads
    from model_src.checkpoint import save_checkpoint
    from model_src.initialize import initialize

    torch.manual_seed(SEED)
    model = heads.find(HEAD)(CONFIG, "eager")
    initialize(model, CONFIG)
    # Engines leave out weights of 1 and biases of 0, which no trained model has
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim == 1:
                parameter.normal_(0.0 if name.endswith("bias") else 1.0, SPREAD)
    save_checkpoint(model, folder)
    words = (*SPECIAL_TOKENS, *(f"word{number}" for number in range(CONFIG.vocab_size - len(SPECIAL_TOKENS))))
    (folder / "vocab.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
    settings = {
        "tokenizer_class": "DistilBertTokenizer",
        "do_lower_case": True,
        "model_max_length": CONFIG.max_position_embeddings,
        "model_input_names": ["input_ids", "attention_mask"],
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")


def write_once(cache: Path) -> Path:
    """The checkpoint in `cache` that every subject is prepared from; it is written only once."""
    cache.mkdir(parents=True, exist_ok=True)
    folder = cache / f"checkpoint-{SEED}"
    if not folder.exists():
        scratch = cache / f"{folder.name}.new"
        shutil.rmtree(scratch, ignore_errors=True)
        write(scratch)
        scratch.rename(folder)
    return folder


def copy(checkpoint: Path, folder: Path) -> None:
    """Prepare a subject that reads the checkpoint itself."""
    shutil.copytree(checkpoint, folder, dirs_exist_ok=True)
