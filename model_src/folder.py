"""A Hugging Face model folder: find it, download it, and list its files. Does not need PyTorch."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open

from model_src import json_text
from model_src.config import DistilBertConfig
from model_src.errors import CheckpointError, ConfigurationError
from model_src.names import is_unused, without_wrappers

CONFIG = "config.json"
ADAPTER = "adapter_config.json"
ENCODER = "distilbert."
"""The prefix of the encoder's tensors in a model with a head."""
TOKENIZER_FILES = (
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.txt",
)  # fmt: skip
SINGLE_FILES = ("model.safetensors", "pytorch_model.bin")
INDEX_FILES = ("model.safetensors.index.json", "pytorch_model.bin.index.json")
MOST_JSON_BYTES = 64 << 20
"""The largest JSON file that is read; tokenizer.json of a vocabulary of 250,000 entries has 17 MB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointFolder:
    """The files of one checkpoint."""

    path: Path
    """The folder."""
    weights: tuple[Path, ...]
    """The files that contain the tensors: safetensors if there are any, otherwise pickles."""

    @property
    def config(self) -> Path:
        """The path of config.json."""
        return self.path / CONFIG

    @property
    def tokenizer(self) -> tuple[Path, ...]:
        """The tokenizer files that exist; raises CheckpointError for a link that leads out of the checkpoint."""
        return tuple(self.path / name for name in TOKENIZER_FILES if _is_file(self.path, name))

    def read_config(self) -> Mapping[str, object]:
        """The content of config.json; raises CheckpointError if it is not a JSON object."""
        return read_json(self.config)

    def configuration(self) -> DistilBertConfig:
        """The configuration in config.json; raises ConfigurationError for values that no DistilBERT has."""
        try:
            return DistilBertConfig.from_hugging_face(self.read_config())
        except ConfigurationError as cause:
            raise ConfigurationError(f"{self.config}: {cause.message}", hint=cause.hint) from cause

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of each tensor by its name in the model, from the headers of safetensors files; empty for pickles.

        Raises CheckpointError for a damaged file.
        """
        shapes: dict[str, tuple[int, ...]] = {}
        for path in self.weights:
            if path.suffix != ".safetensors":
                return {}
            try:
                with safe_open(path, framework="numpy") as file:
                    shapes |= {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
            except (SafetensorError, OSError) as cause:
                raise CheckpointError(
                    f"{path} is damaged: {cause}", hint="copy the checkpoint again"
                ) from cause
        return {in_model(name): shape for name, shape in shapes.items() if not is_unused(name)}


def in_model(name: str) -> str:
    """The name, in a model with a head, of the tensor that a file calls `name`.

    The file may be that of an encoder without a head, or that of a wrapped model.
    """
    name = without_wrappers(name)
    return ENCODER + name if name.startswith(("embeddings.", "transformer.")) else name


def find(source: str | Path) -> CheckpointFolder:
    """The checkpoint at `source`, a folder or a hub id such as `distilbert/distilbert-base-uncased`.

    Raises CheckpointError if it does not exist, if it does not contain config.json and weights, or if one of its files
    is a link that leads out of it. No file is read before all links are checked.
    """
    path = Path(source)
    if not _exists(path) and _is_hub_id(str(source)):
        path = _download(str(source))
    if not _exists(path):
        raise CheckpointError(
            f"there is no folder {path}", hint="give the path of a Hugging Face model folder, or a hub id"
        )
    if not path.is_dir():
        raise CheckpointError(f"{path} is not a folder", hint="give the folder that holds config.json")
    present = [
        name for name in (CONFIG, *TOKENIZER_FILES, *SINGLE_FILES, *INDEX_FILES) if _is_file(path, name)
    ]
    if (path / ADAPTER).is_file() and CONFIG not in present:
        raise CheckpointError(
            f"{path} has {ADAPTER} and no {CONFIG}: it is a PEFT adapter (LoRA, for one), not a whole model",
            hint="merge it into its base model: PeftModel.from_pretrained(base, adapter).merge_and_unload()"
            ".save_pretrained(folder), and save the tokenizer there too",
        )
    if CONFIG not in present:
        raise CheckpointError(
            f"{path} has no {CONFIG}",
            hint="save the model with save_pretrained, or give the path of its folder",
        )
    return CheckpointFolder(path=path, weights=_weights(path, present))


def read_json(path: Path) -> Mapping[str, object]:
    """The JSON object in `path`; raises CheckpointError if the file contains anything else."""
    try:
        with path.open("rb") as file:
            content = file.read(MOST_JSON_BYTES + 1)
    except OSError as cause:
        raise CheckpointError(f"{path} cannot be read: {cause}", hint="check its permissions") from cause
    if len(content) > MOST_JSON_BYTES:
        raise CheckpointError(
            f"{path} has more than {MOST_JSON_BYTES >> 20} MiB, the most that a JSON file may have",
            hint="copy the checkpoint again",
        )
    try:
        value = json_text.parse(content.decode("utf-8"))
    except ValueError as cause:
        raise CheckpointError(
            f"{path} is not valid JSON: {cause}", hint="copy the checkpoint again"
        ) from cause
    if not isinstance(value, dict):
        raise CheckpointError(f"{path} must contain a JSON object, found {type(value).__name__}")
    return value


def _weights(folder: Path, present: Sequence[str]) -> tuple[Path, ...]:
    for single, index in zip(SINGLE_FILES, INDEX_FILES, strict=True):
        if single in present:
            return (folder / single,)
        if index in present:
            return _shards(folder / index)
    raise CheckpointError(
        f"{folder} has no weights; it may contain {', '.join(SINGLE_FILES + INDEX_FILES)}",
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
                f"{index} names the file {name!r:.80}, which is outside the folder of the checkpoint"
            )
        if not _is_file(index.parent, name):
            raise CheckpointError(
                f"{index} names the file {name!r:.80}, which is missing", hint="copy it again"
            )
    return tuple(index.parent / name for name in names)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError as cause:
        raise CheckpointError(
            f"{str(path)!r:.80} cannot be read: {cause.strerror}",
            hint="give the path of a Hugging Face model folder, or a hub id",
        ) from cause


def _is_file(folder: Path, name: str) -> bool:
    """Whether the checkpoint in `folder` has the file `name`.

    Raises CheckpointError for a link that leads out of the checkpoint: a release would publish what it leads to.
    """
    path = folder / name
    try:
        if not path.is_file():
            return False
        root, target = folder.resolve(), path.resolve()
    except OSError as cause:
        raise CheckpointError(
            f"the file {name!r:.80} in {folder} cannot be read: {cause.strerror}",
            hint="check its name and its permissions",
        ) from cause
    if not any(target.is_relative_to(allowed) for allowed in (root, *_hub_blobs(root))):
        raise CheckpointError(
            f"{path} is a link that leads out of the checkpoint, to {target}",
            hint="if the checkpoint is yours, copy it with `cp -rL`, which replaces links by files; else do not use it",
        )
    return True


def _hub_blobs(root: Path) -> tuple[Path, ...]:
    """The folder to which the files of a snapshot in the hub's cache are links; () for any other folder.

    The cache has models--OWNER--NAME/snapshots/REVISION/FILE, which links to models--OWNER--NAME/blobs/DIGEST.
    """
    return tuple(
        model / "blobs"
        for snapshots, model in zip(root.parents, root.parents[1:], strict=False)
        if snapshots.name == "snapshots" and model.name.startswith("models--")
    )


def _is_hub_id(source: str) -> bool:
    return re.fullmatch(r"[\w-][\w.-]*/[\w.-]+", source) is not None


def _download(hub_id: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    patterns = [CONFIG, *TOKENIZER_FILES, "model*.safetensors", *INDEX_FILES, "pytorch_model*.bin"]
    try:
        return Path(snapshot_download(hub_id, allow_patterns=patterns))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as cause:
        raise CheckpointError(
            f"there is no folder {hub_id}, and no model with this name could be downloaded from the hub: {cause}",
            hint="check the path or the id, and the network; private models need HF_TOKEN",
        ) from cause
