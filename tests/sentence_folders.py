"""Folders of sentence-transformers for tests, as version 3 of the library writes them."""

import json
from pathlib import Path

import torch

MODELS = "sentence_transformers.models."


def add_modules(
    folder: Path,
    *layers: str,
    pooling: dict[str, object] | None = None,
    encoder: dict[str, object] | None = None,
    settings: dict[str, object] | None = None,
    dim: int = 32,
) -> Path:
    """Write modules.json and the files of its modules into the folder of an encoder, and return that.

    `layers` are the modules after the pooling, "Dense", "LayerNorm" or "Normalize"; a Dense halves the width.
    `pooling` are fields of the pooling's config.json, `encoder` those of sentence_bert_config.json and `settings`
    those of config_sentence_transformers.json; the file is left out if they are None.
    """
    names = ["Transformer", "Pooling", *layers]
    entries = [
        {
            "idx": position,
            "name": str(position),
            "path": f"{position}_{name}" if position else "",
            "type": MODELS + name,
        }
        for position, name in enumerate(names)
    ]
    write(folder / "modules.json", entries)
    fields = (
        {"word_embedding_dimension": dim, "pooling_mode_mean_tokens": True} if pooling is None else pooling
    )
    write(folder / "1_Pooling" / "config.json", fields)
    width = dim
    for position, name in enumerate(names):
        if name == "Dense":
            write_dense(folder / f"{position}_Dense", width, width // 2)
            width //= 2
        elif name == "LayerNorm":
            place = folder / f"{position}_LayerNorm"
            write(place / "config.json", {"dimension": width})
            torch.save(
                {"norm.weight": torch.rand(width), "norm.bias": torch.randn(width)},
                place / "pytorch_model.bin",
            )
    if encoder is not None:
        write(folder / "sentence_bert_config.json", encoder)
    if settings is not None:
        write(folder / "config_sentence_transformers.json", settings)
    return folder


def write_dense(folder: Path, width: int, narrower: int, /, **changes: object) -> None:
    """Write a Dense module with random weights; `changes` are fields of its config.json."""
    fields = {
        "in_features": width,
        "out_features": narrower,
        "bias": True,
        "activation_function": "torch.nn.modules.activation.Tanh",
    }
    write(folder / "config.json", fields | changes)
    weights = {
        "linear.weight": torch.randn(narrower, width),
        "linear.bias": torch.randn(narrower),
    }
    torch.save(weights, folder / "pytorch_model.bin")


def write(path: Path, value: object) -> None:
    """Write `value` to `path` as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")
