"""Hugging Face DistilBERT folders, read strictly and written so that transformers reads them."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from model_src import folder, heads, tensors
from model_src.config import DistilBertConfig
from model_src.errors import CheckpointError, ConfigurationError
from model_src.folder import ENCODER
from model_src.heads.base import Head

LISTED = 8

# Names that TensorFlow checkpoints, and the conversions made from them, carry
_LEGACY_SUFFIXES = ((".gamma", ".weight"), (".beta", ".bias"))
# A buffer that transformers saved until 4.31
_IGNORED_SUFFIX = "embeddings.position_ids"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A model in evaluation mode, in float32 on the CPU, and the folder it was read from."""

    config: DistilBertConfig
    model: Head
    folder: Path

    @property
    def head(self) -> str:
        return self.model.name


def load_checkpoint(source: str | Path, *, head: str | None = None, attention: str = "sdpa") -> Checkpoint:
    """The DistilBERT at `source`, a folder or a hub id, with the head it names or with `head`.

    Raises CheckpointError (files, tensors), ConfigurationError (config.json) or UnavailableAttentionError.
    """
    found = folder.find(source)
    config = found.configuration()
    try:
        chosen = (
            heads.find(head)
            if head is not None
            else heads.find_architecture(architecture(found.read_config()))
        )
        with torch.device("meta"):
            model = chosen(config, attention)
    except ConfigurationError as cause:
        raise ConfigurationError(f"{found.config}: {cause.message}", hint=cause.hint) from cause
    named = rename(tensors.read(found.weights), model)
    _check(named, model, found.path)
    model.load_state_dict(named, assign=True)
    _tie(model)
    return Checkpoint(config=config, model=model.eval(), folder=found.path)


def save_checkpoint(model: Head, destination: Path) -> None:
    """Write config.json and model.safetensors for `model` into the folder `destination`, made where missing."""
    destination.mkdir(parents=True, exist_ok=True)
    state = model.state_dict()
    if _is_tied(model):
        del state[f"{model.tied_layer}.weight"]
    if not _own_layers(model):
        state = {name.removeprefix(ENCODER): tensor for name, tensor in state.items()}
    tensors.write(state, destination / "model.safetensors")
    config = json.dumps(model.config.to_hugging_face(model.architecture), indent=2)
    (destination / folder.CONFIG).write_text(config + "\n", encoding="utf-8")


def rename(found: Mapping[str, Tensor], model: Head) -> dict[str, Tensor]:
    """`found` under the names of `model`'s state; tensors of the other heads are left out for one without layers."""
    renamed: dict[str, Tensor] = {}
    for name, tensor in found.items():
        if name.endswith(_IGNORED_SUFFIX):
            continue
        for old, new in _LEGACY_SUFFIXES:
            if name.endswith(old):
                name = name.removesuffix(old) + new
        renamed[folder.in_model(name)] = tensor
    if not _own_layers(model):
        others = _head_layers(model.config)
        renamed = {name: tensor for name, tensor in renamed.items() if name.partition(".")[0] not in others}
    if _is_tied(model):
        renamed[f"{model.tied_layer}.weight"] = renamed.get(
            f"{ENCODER}embeddings.word_embeddings.weight", torch.empty(0)
        )
    return renamed


def _head_layers(config: DistilBertConfig) -> set[str]:
    """Names of the layers that the heads put on top of the encoder."""
    smallest = replace(config, n_layers=1, labels=("first", "second"))
    with torch.device("meta"):
        models = [heads.find(name)(smallest) for name in heads.names()]
    return {name for model in models for name in _own_layers(model)}


def _own_layers(model: Head) -> set[str]:
    """Names of the layers that the head puts on top of the encoder."""
    return {name for name, _ in model.named_children()} - {ENCODER.rstrip(".")}


def architecture(values: Mapping[str, object]) -> str:
    """The one class that config.json's `values` name; ConfigurationError where they name none, or several."""
    named = values.get("architectures")
    if not isinstance(named, list) or len(named) != 1 or not isinstance(named[0], str):
        raise ConfigurationError(
            f"architectures must name one class, found {named!r}",
            hint=f"choose a head by hand: --head {'|'.join(heads.names())}",
        )
    return named[0]


def _is_tied(model: Head) -> bool:
    return bool(model.tied_layer) and model.config.tie_word_embeddings


def _tie(model: Head) -> None:
    if _is_tied(model):
        embedding = model.get_submodule("distilbert.embeddings.word_embeddings")
        model.get_submodule(model.tied_layer).weight = embedding.weight


def _check(found: Mapping[str, Tensor], model: Head, path: Path) -> None:
    expected = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    problems = [
        *_listed("missing", (name for name in expected if name not in found)),
        *_listed("unexpected", (name for name in found if name not in expected)),
        *_listed(
            "misshapen",
            (
                f"{name} is {tuple(tensor.shape)}, config.json asks for {expected[name]}"
                for name, tensor in found.items()
                if name in expected and tuple(tensor.shape) != expected[name]
            ),
        ),
    ]
    if problems:
        raise CheckpointError(
            f"the tensors in {path} do not fit a DistilBERT with the head {model.name}: "
            + "; ".join(problems),
            hint="check config.json against the weights, or choose another head with --head",
        )


def _listed(problem: str, names: Iterable[str]) -> list[str]:
    found = sorted(names)
    if not found:
        return []
    more = f" and {len(found) - LISTED} more" if len(found) > LISTED else ""
    return [f"{len(found)} {problem}: {', '.join(found[:LISTED])}{more}"]
