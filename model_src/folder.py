"""A Hugging Face model folder: find it, download it, and list its files. Does not need PyTorch."""

import contextlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open

from model_src.config import DistilBertConfig
from model_src.errors import CheckpointError, ConfigurationError
from model_src.file_kind import check_is_not_a_stand_in, unreadable_safetensors
from model_src.framework_names import FRAMEWORKS, in_pytorch
from model_src.json_file import read_json
from model_src.links import is_file
from model_src.names import is_unused, without_wrappers
from model_src.sentence import cross_encoder, listing, reading
from model_src.sentence.listing import MODULES
from model_src.sentence.modules import SentenceModules

CONFIG = "config.json"
ADAPTER = "adapter_config.json"
ENCODER = "distilbert."
"""The prefix of the encoder's tensors in a model with a head."""
TOKENIZER_FILES = (
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.txt",
)  # fmt: skip
SETFIT_HEAD = "model_head.pkl"
SINGLE_FILES = ("model.safetensors", "pytorch_model.bin", "tf_model.h5", "flax_model.msgpack")
INDEX_FILES = tuple(f"{name}.index.json" for name in SINGLE_FILES)
SENTENCE = "sentence."
"""The prefix of the tensors of sentence-transformers' modules in a model."""
SENTENCE_HEAD = "features"
"""The head that the modules of a sentence-transformers folder belong to."""
_MOST_LISTED = 8
MOST_TENSORS = 100_000
"""The most tensors of a file; a DistilBERT of 1,000 layers has 16,008."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointFolder:
    """The files of one checkpoint."""

    path: Path
    """The folder of config.json, the tokenizer and the weights."""
    weights: tuple[Path, ...]
    """The files that contain the tensors: of the first of SINGLE_FILES that there is, or its shards.

    They may be absent where only the tokenizer is needed.
    """
    parent: Path | None = None
    """The folder of modules.json, if that is not `path`."""
    sentence: SentenceModules | None = None
    """What computes a sentence embedding from the encoder's hidden states, if modules.json says so."""
    score_activation: object = None
    """The activation that config_sentence_transformers.json gives to a cross-encoder's scores; None for others."""
    settings: tuple[Path, ...] = ()
    """The files of sentence-transformers that were read, and the weights of its modules."""

    @property
    def root(self) -> Path:
        """The folder that `find` finds again."""
        return self.parent or self.path

    @property
    def config(self) -> Path:
        """The path of config.json."""
        return self.path / CONFIG

    @property
    def tokenizer(self) -> tuple[Path, ...]:
        """The tokenizer files that exist; raises CheckpointError for a link that leads out of the checkpoint."""
        return tuple(self.path / name for name in TOKENIZER_FILES if is_file(self.path, name))

    def read_config(self) -> Mapping[str, object]:
        """The content of config.json, with a cross-encoder's activation; CheckpointError unless it is a JSON object."""
        return cross_encoder.with_activation(read_json(self.config), self.score_activation)

    def configuration(self) -> DistilBertConfig:
        """The configuration in config.json; raises ConfigurationError for values that no DistilBERT has."""
        try:
            return DistilBertConfig.from_hugging_face(self.read_config())
        except ConfigurationError as cause:
            raise ConfigurationError(f"{self.config}: {cause.message}", hint=cause.hint) from cause

    def longest(self) -> int:
        """The most tokens of a text, special tokens included.

        Raises ConfigurationError as `configuration` does.
        """
        positions = self.configuration().max_position_embeddings
        limit = self.sentence.max_seq_length if self.sentence else None
        return positions if limit is None else min(limit, positions)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of each tensor by its name in the model, from the headers of safetensors files; empty for others.

        Raises CheckpointError for a damaged file.
        """
        shapes: dict[str, tuple[int, ...]] = {}
        for path in self.weights:
            if path.suffix != ".safetensors":
                return {}
            check_is_not_a_stand_in(path)
            try:
                with safe_open(path, framework="numpy") as file:
                    check_count(file.keys(), path)
                    own = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
                    metadata = file.metadata() or {}
            except (SafetensorError, OSError) as cause:
                raise unreadable_safetensors(path, cause) from cause
            if metadata.get("format") in FRAMEWORKS:
                own = dict(_in_pytorch(name, shape) for name, shape in own.items())
            shapes |= own
        own = {in_model(name): shape for name, shape in shapes.items() if not is_unused(name)}
        layers = self.sentence.shapes if self.sentence else {}
        return own | {f"{SENTENCE}{name}": shape for name, shape in layers.items()}


def check_count(names: Sequence[str], path: Path) -> None:
    """Raise CheckpointError if `path` has so many tensors that even empty ones would fill the memory."""
    if len(names) > MOST_TENSORS:
        raise CheckpointError(
            f"{path} has {len(names):,} tensors, and a file may have at most {MOST_TENSORS:,}",
            hint="do not use this checkpoint",
        )


def _in_pytorch(name: str, shape: tuple[int, ...]) -> tuple[str, tuple[int, ...]]:
    """The name and the shape of one of TensorFlow's or Flax's weights as PyTorch has them."""
    renamed, is_transposed = in_pytorch(name)
    return renamed, shape[::-1] if is_transposed else shape


def in_model(name: str) -> str:
    """The name, in a model with a head, of the tensor that a file calls `name`.

    The file may be that of an encoder without a head, or that of a wrapped model.
    """
    name = without_wrappers(name)
    return ENCODER + name if name.startswith(("embeddings.", "transformer.")) else name


def find(
    source: str | Path,
    *,
    head: str | None = None,
    with_adapter: bool = False,
    needs_weights: bool = True,
) -> CheckpointFolder:
    """The checkpoint at `source`, a folder or a hub id such as `distilbert/distilbert-base-uncased`.

    The modules of sentence-transformers are left out if the name of another head than theirs is asked for in `head`.
    Raises CheckpointError if it does not exist, if it does not contain config.json and, if it `needs_weights`, weights,
    if one of its files is a link that leads out of it, for modules that are not supported, for a classifier in a pickle
    if no `head` is asked for, and, unless `with_adapter`, for a PEFT adapter. No file of the model is read before all
    links are checked.
    """
    path = Path(source)
    if not _exists(path) and is_hub_id(str(source)):
        path = _download(str(source))
    if not _exists(path):
        raise CheckpointError(
            f"there is no folder {path}", hint="give the path of a Hugging Face model folder, or a hub id"
        )
    if not path.is_dir():
        raise CheckpointError(f"{path} is not a folder", hint="give the folder that holds config.json")
    root = path
    has_modules = is_file(root, MODULES)
    # Versions 0.2 to 0.4 of sentence-transformers wrote a config.json of their own beside modules.json
    if has_modules and (head in (None, SENTENCE_HEAD) or not _has_model(root)):
        path = listing.encoder_folder(root)
        if path != root:
            # A folder that is a link could lead out of the checkpoint
            is_file(root, f"{path.name}/{CONFIG}")
    present = [
        name for name in (CONFIG, *TOKENIZER_FILES, *SINGLE_FILES, *INDEX_FILES) if is_file(path, name)
    ]
    if is_file(path, ADAPTER) and not with_adapter:
        _refuse_adapter(path, has_weights=any(name in present for name in SINGLE_FILES + INDEX_FILES))
    if CONFIG not in present:
        raise _no_config(path)
    weights = _weights(path, present, needed=needs_weights)
    if head is None and is_file(root, SETFIT_HEAD):
        raise CheckpointError(
            f"{root} is a SetFit model: its classifier {SETFIT_HEAD} is a pickle, which would run code if it were read",
            hint="add the classifier to the embedding, whose values are then its scores. With weight = "
            "torch.tensor(head.coef_).float() and bias = torch.tensor(head.intercept_).float(), or with "
            "head.linear.weight and head.linear.bias of a torch head: SentenceTransformer(modules=[*model.model_body, "
            "Dense(weight.shape[1], len(weight), activation_function=torch.nn.Identity(), init_weight=weight, "
            "init_bias=bias)]).save(folder). "
            "Or build the embedding alone: --head features",
        )
    parent = None if path == root else root
    if not has_modules:
        return CheckpointFolder(path=path, weights=weights)
    if listing.is_cross_encoder(root):
        return CheckpointFolder(
            path=path,
            weights=weights,
            parent=parent,
            score_activation=cross_encoder.read_activation(root),
            settings=(root / MODULES, root / listing.SETTINGS),
        )
    if head not in (None, SENTENCE_HEAD):
        return CheckpointFolder(path=path, weights=weights, parent=parent)
    sentence = reading.read(root)
    return CheckpointFolder(
        path=path, weights=weights, parent=parent, sentence=sentence, settings=sentence.files
    )


def _has_model(path: Path) -> bool:
    """Whether the folder `path` has config.json and weights."""
    return is_file(path, CONFIG) and any(is_file(path, name) for name in SINGLE_FILES + INDEX_FILES)


def _no_config(path: Path) -> CheckpointError:
    """That `path` has no config.json, and which of the folders in it are models: a Trainer's, or the hub cache's."""
    inside: list[Path] = []
    with contextlib.suppress(OSError):
        for pattern in (f"*/{CONFIG}", f"snapshots/*/{CONFIG}"):
            inside += [
                config.parent
                for config in path.glob(pattern)
                if any((config.parent / name).is_file() for name in SINGLE_FILES + INDEX_FILES)
            ]
    if not inside:
        return CheckpointError(
            f"{path} has no {CONFIG}",
            hint="save the model with save_pretrained, or give the path of its folder",
        )
    # checkpoint-1000 after checkpoint-500
    names = sorted((str(found.relative_to(path)) for found in inside), key=lambda name: (len(name), name))
    rest = f" and {len(names) - _MOST_LISTED} more" if len(names) > _MOST_LISTED else ""
    return CheckpointError(
        f"{path} has no {CONFIG}; models are in its folders {', '.join(names[:_MOST_LISTED])}{rest}",
        hint=f"give the folder of a model, such as {path / names[0]}",
    )


def _refuse_adapter(path: Path, *, has_weights: bool) -> None:
    if has_weights:
        problem = "it is not clear whether its weights are the base model or the merged one"
        hint = (
            f"if they are merged, delete {ADAPTER}; if they are the base model, merge them: "
            "distilforge convert FOLDER DESTINATION --base FOLDER"
        )
    else:
        problem = "it is a PEFT adapter (LoRA, for one), not a whole model"
        hint = "merge it into its base model: distilforge convert FOLDER DESTINATION --base BASE"
    raise CheckpointError(f"{path} has {ADAPTER}: {problem}", hint=hint)


def _weights(folder: Path, present: Sequence[str], *, needed: bool) -> tuple[Path, ...]:
    for single, index in zip(SINGLE_FILES, INDEX_FILES, strict=True):
        if single in present:
            return (folder / single,)
        if index in present:
            return _shards(folder / index)
    if not needed:
        return ()
    others = sorted(
        path.name
        for name in map(Path, SINGLE_FILES)
        for path in folder.glob(f"{name.stem}.*{name.suffix}")
        if path.is_file()
    )
    hint = "save the model with save_pretrained, or give the path of its folder"
    if others:
        # Such as model.fp16.safetensors, which transformers loads with variant="fp16" only
        hint = f"it has {', '.join(map(repr, others))!s:.200}: give the one to read one of these names, or {hint}"
    raise CheckpointError(
        f"{folder} has no weights; it may contain {', '.join(SINGLE_FILES + INDEX_FILES)}", hint=hint
    )


def _shards(index: Path) -> tuple[Path, ...]:
    weight_map = read_json(index).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise CheckpointError(f"{index} has no weight_map", hint="copy the checkpoint again")
    names = sorted({str(name) for name in weight_map.values()})
    for name in names:
        if Path(name).name != name:
            raise CheckpointError(
                f"{index} names the file {name!r:.80}, which is outside the folder of the checkpoint",
                hint="save the checkpoint again, with all files in one folder",
            )
        if not is_file(index.parent, name):
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


def is_hub_id(source: str) -> bool:
    """Whether `source` has the form of a model's id on the hub, such as `distilbert/distilbert-base-uncased`."""
    return re.fullmatch(r"[\w-][\w.-]*/[\w.-]+", source) is not None


def _download(hub_id: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    patterns = [CONFIG, *TOKENIZER_FILES, "model*.safetensors", *INDEX_FILES, "pytorch_model*.bin"]
    # README.md names the licence
    patterns += ["tf_model*.h5", "flax_model*.msgpack", "README.md"]
    # sentence-transformers': 1_Pooling/config.json, for one
    patterns += [MODULES, listing.SETTINGS, "sentence_*_config.json", "[0-9]*_*/*"]
    try:
        return Path(snapshot_download(hub_id, allow_patterns=patterns))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as cause:
        raise CheckpointError(
            f"there is no folder {hub_id}, and no model with this name could be downloaded from the hub: {cause}",
            hint="check the path or the id, and the network; private models need HF_TOKEN",
        ) from cause
