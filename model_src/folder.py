"""A Hugging Face model folder on disk: finding it, and knowing which files it is made of. Needs no torch."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open

from model_src.config import DistilBertConfig
from model_src.errors import CheckpointError, ConfigurationError

CONFIG = "config.json"
ENCODER = "distilbert."
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt")
SINGLE_FILES = ("model.safetensors", "pytorch_model.bin")
INDEX_FILES = ("model.safetensors.index.json", "pytorch_model.bin.index.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointFolder:
    """Paths of one checkpoint; `weights` are the files that hold tensors, safetensors preferred."""

    path: Path
    weights: tuple[Path, ...]

    @property
    def config(self) -> Path:
        return self.path / CONFIG

    @property
    def tokenizer(self) -> tuple[Path, ...]:
        """Those tokenizer files that are there."""
        return tuple(self.path / name for name in TOKENIZER_FILES if (self.path / name).is_file())

    def read_config(self) -> Mapping[str, object]:
        """config.json's content; CheckpointError where it is no JSON object."""
        return read_json(self.config)

    def configuration(self) -> DistilBertConfig:
        """config.json as the model reads it; ConfigurationError, with the file, for values that no DistilBERT has."""
        try:
            return DistilBertConfig.from_hugging_face(self.read_config())
        except ConfigurationError as cause:
            raise ConfigurationError(f"{self.config}: {cause.message}", hint=cause.hint) from cause

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Every tensor's shape by its name in the model, from the headers of safetensors files; empty for pickles.

        Raises CheckpointError for a damaged file.
        """
        found: dict[str, tuple[int, ...]] = {}
        for path in self.weights:
            if path.suffix != ".safetensors":
                return {}
            try:
                with safe_open(path, framework="numpy") as file:
                    found |= {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
            except SafetensorError as cause:
                raise CheckpointError(
                    f"{path} is damaged: {cause}", hint="copy the checkpoint again"
                ) from cause
        return {in_model(name): shape for name, shape in found.items()}


def in_model(name: str) -> str:
    """The name in a model with a head of what a bare encoder's file calls `name`."""
    return ENCODER + name if name.startswith(("embeddings.", "transformer.")) else name


def find(source: str | Path) -> CheckpointFolder:
    """The checkpoint at `source`, a folder or a hub id such as `distilbert/distilbert-base-uncased`.

    Raises CheckpointError where there is none or it lacks config.json or weights.
    """
    path = Path(source)
    if not path.exists() and _is_hub_id(str(source)):
        path = _download(str(source))
    if not path.exists():
        raise CheckpointError(
            f"there is no folder {path}", hint="give the path of a Hugging Face model folder, or a hub id"
        )
    if not path.is_dir():
        raise CheckpointError(f"{path} is not a folder", hint="give the folder that holds config.json")
    if not (path / CONFIG).is_file():
        raise CheckpointError(
            f"{path} has no {CONFIG}", hint="save the model with save_pretrained, or point at its folder"
        )
    return CheckpointFolder(path=path, weights=_weights(path))


def read_json(path: Path) -> Mapping[str, object]:
    """The JSON object in `path`; CheckpointError where it is something else."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as cause:
        raise CheckpointError(
            f"{path} is not valid JSON: {cause}", hint="copy the checkpoint again"
        ) from cause
    except OSError as cause:
        raise CheckpointError(f"{path} cannot be read: {cause}", hint="check its permissions") from cause
    if not isinstance(value, dict):
        raise CheckpointError(f"{path} must hold a JSON object, found {type(value).__name__}")
    return value


def _weights(folder: Path) -> tuple[Path, ...]:
    for single, index in zip(SINGLE_FILES, INDEX_FILES, strict=True):
        if (folder / single).is_file():
            return (folder / single,)
        if (folder / index).is_file():
            return _shards(folder / index)
    raise CheckpointError(
        f"{folder} has no weights; looked for {', '.join(SINGLE_FILES + INDEX_FILES)}",
        hint="TensorFlow and Flax weights can be converted with transformers: from_pretrained(..., from_tf=True)",
    )


def _shards(index: Path) -> tuple[Path, ...]:
    weight_map = read_json(index).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise CheckpointError(f"{index} has no weight_map", hint="copy the checkpoint again")
    names = sorted({str(name) for name in weight_map.values()})
    for name in names:
        if Path(name).name != name:
            raise CheckpointError(
                f"{index} names the file {name!r}, which lies outside the checkpoint's folder"
            )
        if not (index.parent / name).is_file():
            raise CheckpointError(f"{index} names the file {name!r}, which is missing", hint="copy it again")
    return tuple(index.parent / name for name in names)


def _is_hub_id(source: str) -> bool:
    return re.fullmatch(r"[\w-][\w.-]*/[\w.-]+", source) is not None


def _download(hub_id: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    wanted = [CONFIG, *TOKENIZER_FILES, "model*.safetensors", *INDEX_FILES, "pytorch_model*.bin"]
    try:
        return Path(snapshot_download(hub_id, allow_patterns=wanted))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as cause:
        raise CheckpointError(
            f"there is no folder {hub_id}, and the hub did not give a model of that name: {cause}",
            hint="check the path or the id, and the network; HF_TOKEN opens private models",
        ) from cause
