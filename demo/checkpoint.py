"""Write a checkpoint of the demo as an ordinary Hugging Face folder: weights, configuration, tokenizer and card."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from demo import encoder
from demo.delta import Delta, Description
from model_src import heads
from model_src.checkpoint import load_checkpoint, rename, save_checkpoint
from model_src.config import DistilBertConfig

TOKENIZER_CONFIG = {
    "clean_up_tokenization_spaces": False,
    "cls_token": "[CLS]",
    "do_lower_case": True,
    "mask_token": "[MASK]",
    "model_input_names": ["input_ids", "attention_mask"],
    "model_max_length": 512,
    "pad_token": "[PAD]",
    "sep_token": "[SEP]",
    "strip_accents": None,
    "tokenize_chinese_chars": True,
    "tokenizer_class": "DistilBertTokenizer",
    "unk_token": "[UNK]",
}

ENCODER_CARD = """---
license: apache-2.0
base_model: sentence-transformers/all-MiniLM-L6-v2
---
# {name}

The encoder of all-MiniLM-L6-v2 ({base}) as a DistilBERT: its embedding of token type 0 is added to the position
embeddings. Mean pooling over the attention mask gives sentence embeddings.
"""

HEAD_CARD = """---
license: apache-2.0
base_model: sentence-transformers/all-MiniLM-L6-v2
---
# {name}

all-MiniLM-L6-v2 ({base}) as a DistilBERT, with the head {head} trained by `{command}`.
On this project's evaluation set: {metric}.

It is made to demonstrate a build pipeline. Licences: {licence}.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """The converted encoder, from which all checkpoints are made."""

    folder: Path
    """The folder of its checkpoint."""

    def write_features(self, destination: Path) -> None:
        """Write the encoder without a change."""
        shutil.copytree(self.folder, destination)
        _write_tokenizer(destination)
        _write_card(destination, ENCODER_CARD.format(name=destination.name, base=encoder.REQUIREMENT))

    def write_head(self, delta: Delta, destination: Path) -> None:
        """Write the encoder with the changes in `delta`, and with the head of `delta`."""
        description = delta.description
        checkpoint = load_checkpoint(self.folder)
        fields = checkpoint.config.to_hugging_face(description.architecture) | dict(description.config)
        model = heads.find(description.head)(DistilBertConfig.from_hugging_face(fields))
        model.load_state_dict(rename(delta.apply(checkpoint.model.state_dict()), model))
        save_checkpoint(model, destination)
        _write_tokenizer(destination)
        _write_card(destination, _head_card(destination.name, description))


def _write_tokenizer(destination: Path) -> None:
    package = encoder.package_folder()
    for name in ("special_tokens_map.json", "vocab.txt"):
        shutil.copyfile(package / name, destination / name)
    encoder.tokenizer().save(str(destination / "tokenizer.json"))
    text = json.dumps(TOKENIZER_CONFIG, indent=2) + "\n"
    (destination / "tokenizer_config.json").write_text(text, encoding="utf-8")


def _write_card(destination: Path, text: str) -> None:
    (destination / "README.md").write_text(text, encoding="utf-8")
    shutil.copyfile(Path(__file__).with_name("NOTICE.md"), destination / "NOTICE.md")


def _head_card(name: str, description: Description) -> str:
    metric = ", ".join(f"{key} {value:.3f}" for key, value in description.metric.items())
    return HEAD_CARD.format(
        name=name,
        base=description.base,
        head=description.head,
        command=description.command,
        metric=metric,
        licence=description.licence,
    )
