"""Read DistilBERT folders of Hugging Face strictly, and write folders that transformers can read."""

import json
import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path

import torch
from torch import Tensor

from model_src import folder, heads, tensors
from model_src.config import DistilBertConfig
from model_src.config import remarks as config_remarks
from model_src.errors import CheckpointError, ConfigurationError
from model_src.folder import ENCODER, CheckpointFolder
from model_src.heads.base import Head
from model_src.heads.features import Features
from model_src.initialize import sinusoidal
from model_src.names import is_unused, without_wrappers
from model_src.sentence import embedding

MOST_LISTED = 8
POSITIONS = f"{ENCODER}embeddings.position_embeddings.weight"
WORD_EMBEDDINGS = f"{ENCODER}embeddings.word_embeddings.weight"

_logger = logging.getLogger("model_src")

# The names in TensorFlow checkpoints and in their conversions
_LEGACY_SUFFIXES = ((".gamma", ".weight"), (".beta", ".bias"))
_ADAPTER_PARTS = (".lora_", ".base_layer.")
_LAYER = re.compile(rf"{re.escape(ENCODER)}transformer\.layer\.(\d+)\.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A model and the folder that it was read from."""

    config: DistilBertConfig
    """The configuration in config.json."""
    model: Head
    """The model in evaluation mode, in float32 on the CPU."""
    folder: Path
    """The folder, after a download if the source was a hub id."""
    remarks: tuple[str, ...] = ()
    """What was left out of the files or read differently, a sentence each; they are logged too."""

    @property
    def head(self) -> str:
        """The name of the head."""
        return self.model.name


def load_checkpoint(source: str | Path, *, head: str | None = None, attention: str = "sdpa") -> Checkpoint:
    """The DistilBERT at `source`, a folder or a hub id, with the head `head`, or else with that of config.json.

    `attention` is the implementation, one of `attention.IMPLEMENTATIONS`. Raises CheckpointError for files and tensors,
    ConfigurationError for config.json, and UnavailableAttentionError if the implementation cannot run here.
    """
    files = folder.find(source, head=head)
    config = files.configuration()
    _check_layers(config, files)
    try:
        head_class = find_head(files, head)
        # Without memory, since the tensors of the files become the weights
        with torch.device("meta"):
            model = (
                Features(config, attention, files.sentence)
                if files.sentence
                else head_class(config, attention)
            )
    except ConfigurationError as cause:
        raise ConfigurationError(f"{files.config}: {cause.message}", hint=cause.hint) from cause
    file_tensors = tensors.read(files.weights)
    state = rename(file_tensors, model)
    remarks = (*config_remarks(files.read_config()), *_name_remarks(file_tensors))
    if config.sinusoidal_pos_embds and POSITIONS not in state:
        # Flax computes them
        state[POSITIONS] = sinusoidal(config.max_position_embeddings, config.dim)
        remarks = (*remarks, f"{POSITIONS} is not in the weights; sinusoids are used, as config.json says")
    if (files.root / folder.SETFIT_HEAD).is_file():
        remarks = (
            *remarks,
            f"{folder.SETFIT_HEAD} is not read, since it is a pickle; the head is {model.name}",
        )
    if files.sentence is not None:
        layers = embedding.read_state(files.sentence)
        state |= {f"{folder.SENTENCE}{name}": tensor for name, tensor in layers.items()}
        remarks = (*remarks, files.sentence.summary)
    fill(model, state, files.path)
    for remark in remarks:
        _logger.info("%s: %s", files.path, remark)
    return Checkpoint(config=config, model=model.eval(), folder=files.path, remarks=remarks)


def find_head(files: CheckpointFolder, head: str | None) -> type[Head]:
    """The class of the head called `head`, or else that of the checkpoint.

    Raises ConfigurationError if the head is unknown, or if config.json does not name exactly one.
    """
    if head is not None:
        return heads.find(head)
    return Features if files.sentence else heads.find_architecture(architecture(files.read_config()))


def fill(model: Head, state: Mapping[str, Tensor], path: Path) -> None:
    """Make the tensors of `state` the weights of `model`, which was made on the meta device.

    Raises CheckpointError, which names the checkpoint `path`, if their names or shapes are not those of `model`.
    """
    _check(state, model, path)
    model.load_state_dict(state, assign=True)
    _tie(model)


def save_checkpoint(model: Head, destination: Path) -> None:
    """Write config.json and model.safetensors of `model` into the folder `destination`, which is created if needed.

    The layers of sentence-transformers' modules have files of their own: sentence.writing.write.
    """
    destination.mkdir(parents=True, exist_ok=True)
    state = model.state_dict()
    if _is_tied(model):
        del state[f"{model.tied_layer}.weight"]
    state = {name: tensor for name, tensor in state.items() if not name.startswith(folder.SENTENCE)}
    if not _own_layers(model):
        state = {name.removeprefix(ENCODER): tensor for name, tensor in state.items()}
    tensors.write(state, destination / "model.safetensors")
    config = json.dumps(model.config.to_hugging_face(model.architecture), indent=2)
    (destination / folder.CONFIG).write_text(config + "\n", encoding="utf-8")


def rename(state: Mapping[str, Tensor], model: Head) -> dict[str, Tensor]:
    """`state`, from a file, under the names of the state of `model`.

    Tensors that no forward pass reads are left out, and so are those of other heads if the head of `model` does not
    have layers. Raises CheckpointError if two different tensors get the same name.
    """
    renamed: dict[str, Tensor] = {}
    for stored_name, tensor in state.items():
        if is_unused(stored_name):
            continue
        name = folder.in_model(stored_name)
        for old, new in _LEGACY_SUFFIXES:
            if name.endswith(old):
                name = name.removesuffix(old) + new
        if name in renamed and not torch.equal(renamed[name], tensor):
            raise CheckpointError(
                f"the checkpoint has {name} twice, with different values; one of them is called {stored_name!r}",
                hint="save the state of one model: model.state_dict(), without its wrapper",
            )
        renamed[name] = tensor
    if not _own_layers(model):
        others = _head_layers(model.config)
        renamed = {name: tensor for name, tensor in renamed.items() if name.partition(".")[0] not in others}
    if _is_tied(model):
        # A file needs the tied weight only once, under either name
        tied = f"{model.tied_layer}.weight"
        weight = renamed.get(WORD_EMBEDDINGS, renamed.get(tied))
        if weight is not None:
            renamed |= {WORD_EMBEDDINGS: weight, tied: weight}
    return renamed


def _check_layers(config: DistilBertConfig, files: CheckpointFolder) -> None:
    """Raise CheckpointError if config.json asks for more layers than the headers of the weights have.

    Every layer takes time before its weights are compared.
    """
    names = [_LAYER.match(name) for name in files.shapes()]
    layers = len({match[1] for match in names if match})
    if names and config.n_layers > layers:
        raise CheckpointError(
            f"{files.config} asks for n_layers {config.n_layers}, and the weights have {layers} layers: "
            f"{ENCODER}transformer.layer.{layers} is missing",
            hint=_prefix_hint(list(files.shapes())) or "check config.json against the weights",
        )


def _head_layers(config: DistilBertConfig) -> set[str]:
    """The names of the layers that the heads have on top of the encoder."""
    smallest = replace(config, n_layers=1, labels=("first", "second"))
    with torch.device("meta"):
        models = [heads.find(name)(smallest) for name in heads.names()]
    return {name for model in models for name in _own_layers(model)}


def _own_layers(model: Head) -> set[str]:
    """The names of the layers that the head has on top of the encoder, apart from sentence-transformers' modules."""
    return {name for name, _ in model.named_children()} - {ENCODER.rstrip("."), folder.SENTENCE.rstrip(".")}


def architecture(values: Mapping[str, object]) -> str:
    """The class in the `values` of config.json; raises ConfigurationError if there is not exactly one."""
    named = values.get("architectures")
    if not isinstance(named, list) or len(named) != 1 or not isinstance(named[0], str):
        raise ConfigurationError(
            f"architectures must name one class, found {named!r:.80}",
            hint=f"choose a head by hand: --head {'|'.join(heads.names())}",
        )
    return named[0]


def _is_tied(model: Head) -> bool:
    return bool(model.tied_layer) and model.config.tie_word_embeddings


def _tie(model: Head) -> None:
    if _is_tied(model):
        embedding = model.get_submodule("distilbert.embeddings.word_embeddings")
        model.get_submodule(model.tied_layer).weight = embedding.weight


def _check(state: Mapping[str, Tensor], model: Head, path: Path) -> None:
    """Raise CheckpointError if the names or shapes in `state` are not those of `model`."""
    expected = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    _check_floats(state, expected, path)
    problems = [
        *_listed("missing", (name for name in expected if name not in state)),
        *_listed("unexpected", (name for name in state if name not in expected)),
        *_listed(
            "misshapen",
            (
                f"{name} is {tuple(tensor.shape)}, config.json asks for {expected[name]}"
                for name, tensor in state.items()
                if name in expected and tuple(tensor.shape) != expected[name]
            ),
        ),
    ]
    if problems:
        raise CheckpointError(
            f"the tensors in {path} do not fit a DistilBERT with the head {model.name}: "
            + "; ".join(problems),
            hint=_hint(state, expected),
        )


def _check_floats(state: Mapping[str, Tensor], expected: Mapping[str, object], path: Path) -> None:
    """Raise CheckpointError if a weight of the model is stored as whole numbers, as quantized weights are."""
    integers = sorted(
        f"{name} is {str(tensor.dtype).removeprefix('torch.')}"
        for name, tensor in state.items()
        if name in expected and not tensor.is_floating_point()
    )
    if integers:
        raise CheckpointError(
            f"the weights in {path} are quantized: " + "; ".join(_listed("stored as integers", integers)),
            hint="build from the checkpoint before quantization, and choose an int8 variant: --variant TARGET:int8",
        )


def _hint(state: Mapping[str, Tensor], expected: Mapping[str, tuple[int, ...]]) -> str:
    """What to do about tensors that do not fit."""
    unexpected = [name for name in state if name not in expected]
    if any(part in name for name in unexpected for part in _ADAPTER_PARTS):
        return "these are tensors of a PEFT adapter; merge it first: model.merge_and_unload().save_pretrained(folder)"
    if prefix_hint := _prefix_hint([*unexpected, *(name for name in state if name.startswith(ENCODER))]):
        return prefix_hint
    layers = {int(match[1]) for name in state if (match := _LAYER.match(name))}
    known = {int(match[1]) for name in expected if (match := _LAYER.match(name))}
    if layers > known:
        return (
            f"n_layers in config.json is {len(known)}, and the weights have {len(layers)} layers; correct n_layers, or "
            "use the config.json that was saved with these weights"
        )
    if unexpected and all(
        name in state and tuple(state[name].shape) == shape for name, shape in expected.items()
    ):
        return "the model is complete without them; delete them from the file if no forward pass reads them"
    return "check config.json against the weights, or choose another head with --head"


def _prefix_hint(names: Sequence[str]) -> str:
    """What to do where all `names` have one prefix, such as "model.", before those of a DistilBERT; "" where not."""
    parts = [name.split(".") for name in names]
    if not parts or any(folder.in_model(name).startswith(ENCODER) for name in names):
        return ""
    common = takewhile(lambda level: len(set(level)) == 1, zip(*parts, strict=False))
    for length in range(1, 1 + sum(1 for _ in common)):
        if any(folder.in_model(".".join(name[length:])).startswith(ENCODER) for name in parts):
            module = ".".join(parts[0][:length])
            return (
                f"the names of the weights begin with '{module}.', as where another module holds the model, "
                f"Lightning's for one; save the model alone: module.{module}.save_pretrained(folder)"
            )
    return ""


def _name_remarks(names: Iterable[str]) -> tuple[str, ...]:
    """A sentence for tensors that are not used, and one for names whose prefixes are left out."""
    unused = sorted(name for name in names if is_unused(name))
    wrapped = [name for name in names if not is_unused(name) and without_wrappers(name) != name]
    remarks = [f"{name} is not used, since no forward pass reads it" for name in unused]
    if wrapped:
        remarks.append(
            f"{len(wrapped)} tensors are read without the prefixes of a wrapper; "
            f"{wrapped[0]} is {folder.in_model(wrapped[0])}"
        )
    return tuple(remarks)


def _listed(problem: str, names: Iterable[str]) -> list[str]:
    ordered = sorted(names)
    if not ordered:
        return []
    more = f" and {len(ordered) - MOST_LISTED} more" if len(ordered) > MOST_LISTED else ""
    return [f"{len(ordered)} {problem}: {', '.join(ordered[:MOST_LISTED])}{more}"]
