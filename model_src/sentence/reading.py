"""What modules.json of a sentence-transformers folder declares, by an allow-list. Does not need PyTorch."""

from collections.abc import Mapping
from pathlib import Path

from model_src import json_file
from model_src.errors import CheckpointError
from model_src.links import is_file
from model_src.sentence import listing
from model_src.sentence.listing import BARE, MODULES, SETTINGS, Entry
from model_src.sentence.modules import (
    POOLING_MODES,
    Dense,
    LayerNorm,
    Normalize,
    Pooling,
    SentenceModule,
    SentenceModules,
)

_CONFIG = "config.json"
# The library takes the first that there is, whatever the encoder
_ENCODER_SETTINGS = tuple(
    f"sentence_{kind}_config.json"
    for kind in ("bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet")
)
# Arguments of transformers' classes in the encoder's settings: those for the model that do not change what it computes
_HARMLESS = frozenset({"attn_implementation", "dtype", "torch_dtype", "low_cpu_mem_usage", "use_safetensors"})
_TOKENIZER_SETTINGS = "tokenizer_config.json"
_NO_LIMIT = 1 << 30
_WEIGHTS = ("model.safetensors", "pytorch_model.bin")
# How each of POOLING_MODES was named before version 5.4: a field that is true or false
_OLD_MODES = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
# The last parts of PyTorch's names, and the names in model_src.config.ACTIVATIONS
_ACTIVATIONS = {
    "Tanh": "tanh",
    "ReLU": "relu",
    "ReLU6": "relu6",
    "LeakyReLU": "leaky_relu",
    "GELU": "gelu",
    "SiLU": "silu",
    "Mish": "mish",
    "Sigmoid": "sigmoid",
    "Identity": "linear",
}


def read(root: Path) -> SentenceModules:
    """The modules that modules.json in the folder `root` declares.

    Raises CheckpointError for a module or a setting that is not supported, which it names, for damaged files, and for
    a link that leads out of the folder.
    """
    settings = listing.settings(root)
    model_type = settings.get("model_type") or "SentenceTransformer"
    entries = listing.entries(root)
    if model_type != "SentenceTransformer":
        raise CheckpointError(
            f"{root / SETTINGS} has the model_type {model_type!r:.80}; supported are SentenceTransformer, CrossEncoder",
            hint="a sparse encoder's language model can be built alone: --head masked_lm",
        )
    encoder, encoder_file = _encoder_settings(root, entries[0])
    files = [
        root / MODULES,
        *([root / SETTINGS] if settings else []),
        *([encoder_file] if encoder_file else []),
    ]
    copies = {SETTINGS: root / SETTINGS} if settings else {}
    modules: list[SentenceModule] = []
    layer_names: list[str] = []
    for position, entry in enumerate(entries[1:], start=1):
        if isinstance(modules[0] if modules else None, Pooling) == (entry.name == "Pooling"):
            raise CheckpointError(
                f"{root / MODULES} has {entry.name} at position {position}; "
                "there must be one Pooling, right after the encoder",
                hint=BARE,
            )
        used = [root / entry.path / _CONFIG] if _has_config(root, entry) else []
        if entry.name == "Pooling":
            modules.append(_pooling(root, entry, settings))
        elif entry.name in ("Dense", "LayerNorm"):
            layer = _dense(root, entry) if entry.name == "Dense" else _layer_norm(root, entry)
            modules.append(layer)
            layer_names.append(str(position))
            used.append(layer.weights)
        elif entry.name == "Normalize":
            modules.append(Normalize())
            layer_names.append(str(position))
        copies |= {f"{position}_{entry.name}/{path.name}": path for path in used}
        files += used
    if not modules:
        raise CheckpointError(f"{root / MODULES} has no Pooling after the encoder", hint=BARE)
    return SentenceModules(
        modules=tuple(modules),
        layer_names=tuple(layer_names),
        max_seq_length=_max_seq_length(encoder, root / entries[0].path),
        do_lower_case=encoder.get("do_lower_case") is True,
        files=tuple(files),
        copies=copies,
        types=tuple(entry.type for entry in entries),
        truncate_dim=_truncate_dim(settings, root),
    )


def _encoder_settings(root: Path, entry: Entry) -> tuple[Mapping[str, object], Path | None]:
    """The settings of the encoder, and their file if there is one."""
    folder = root / entry.path
    name = next((name for name in _ENCODER_SETTINGS if is_file(folder, name)), None)
    if name is None:
        return {}, None
    path = folder / name
    values = json_file.read_json(path)
    expected = {"transformer_task": "feature-extraction", "module_output_name": "token_embeddings"}
    for field, value in expected.items():
        if values.get(field, value) != value:
            raise CheckpointError(
                f"{path} has {field} {values[field]!r:.80}; only {value!r} is supported", hint=BARE
            )
    if values.get("tokenizer_name_or_path"):
        raise CheckpointError(
            f"{path} has tokenizer_name_or_path {values['tokenizer_name_or_path']!r:.80}, and only the tokenizer of "
            "the folder is read",
            hint="save that tokenizer in the folder, and remove tokenizer_name_or_path",
        )
    for field in ("tokenizer_args", "processor_kwargs", "processing_kwargs"):
        if values.get(field):
            raise CheckpointError(
                f"{path} has {field} {values[field]!r:.80}, which are not supported",
                hint="write them into tokenizer_config.json: save the tokenizer with these settings",
            )
    for field in ("model_args", "model_kwargs", "config_args", "config_kwargs"):
        arguments = values.get(field)
        if arguments and not (isinstance(arguments, dict) and arguments.keys() <= _HARMLESS):
            raise CheckpointError(
                f"{path} has {field} {arguments!r:.80}, which are not supported",
                hint="write them into config.json: save the model with these settings",
            )
    return values, path


def _truncate_dim(settings: Mapping[str, object], root: Path) -> int | None:
    """How many numbers of an embedding are kept (Kusupati et al. 2022, Matryoshka, arXiv:2205.13147); None for all."""
    kept = settings.get("truncate_dim")
    if kept is not None and (not isinstance(kept, int) or isinstance(kept, bool) or kept < 1):
        raise CheckpointError(
            f"the truncate_dim in {root / SETTINGS} must be a whole number of at least 1 or null, found {kept!r:.80}",
            hint="null keeps every number of an embedding",
        )
    return kept


def _max_seq_length(settings: Mapping[str, object], folder: Path) -> int | None:
    """The limit in the encoder's settings, or else that of its tokenizer, where version 5 of the library saves it."""
    length = settings.get("max_seq_length")
    if length is None and is_file(folder, _TOKENIZER_SETTINGS):
        limit = json_file.read_json(folder / _TOKENIZER_SETTINGS).get("model_max_length")
        # transformers saves "no limit" as the float 1e30
        return limit if isinstance(limit, int) and 1 <= limit < _NO_LIMIT else None
    if length is not None and (not isinstance(length, int) or isinstance(length, bool) or length < 1):
        raise CheckpointError(
            f"the max_seq_length in {folder} must be a whole number of at least 1 or null, found {length!r:.80}",
            hint="null takes the limit of the tokenizer",
        )
    return length


def _pooling(root: Path, entry: Entry, settings: Mapping[str, object]) -> Pooling:
    path, values = _module_config(root, entry)
    if "pooling_mode" in values:
        chosen = values["pooling_mode"]
        modes = tuple(map(str, chosen)) if isinstance(chosen, list) else (str(chosen),)
    else:
        wanted = [name for name, value in values.items() if name.startswith("pooling_mode_") and value]
        modes = tuple(mode for name, mode in _OLD_MODES.items() if name in wanted) or ("mean",)
        modes += tuple(name for name in wanted if name not in _OLD_MODES)
    for mode in modes:
        if mode not in POOLING_MODES:
            raise CheckpointError(
                f"{path} has the pooling {mode!r:.80}; supported are {', '.join(POOLING_MODES)}", hint=BARE
            )
    if not modes:
        raise CheckpointError(f"{path} does not name any pooling_mode", hint=BARE)
    prompts = settings.get("prompts")
    if values.get("include_prompt") is False and isinstance(prompts, dict) and any(prompts.values()):
        raise CheckpointError(
            f"{path} has include_prompt false, and {SETTINGS} has prompts: a pooling that leaves out the tokens of a "
            "prompt is not supported",
            hint="put the prompt into the texts, and set include_prompt to true if the model allows it",
        )
    return Pooling(modes=modes)


def _dense(root: Path, entry: Entry) -> Dense:
    path, values = _module_config(root, entry)
    for field in ("module_input_name", "module_output_name"):
        if values.get(field) not in (None, "sentence_embedding"):
            raise CheckpointError(
                f"{path} has {field} {values[field]!r:.80}; only 'sentence_embedding' is supported",
                hint=BARE,
            )
    in_features, out_features = (_size(path, values, field) for field in ("in_features", "out_features"))
    activation = values.get("activation_function", "torch.nn.modules.activation.Tanh")
    package, _, name = str(activation).rpartition(".")
    if not package.startswith("torch.nn") or name not in _ACTIVATIONS:
        raise CheckpointError(
            f"{path} has the activation_function {activation!r:.80}; supported are those of torch.nn called "
            + ", ".join(_ACTIVATIONS),
            hint=BARE,
        )
    return Dense(
        in_features=in_features,
        out_features=out_features,
        bias=values.get("bias") is not False,
        activation=_ACTIVATIONS[name],
        weights=_weights(root, entry),
    )


def _layer_norm(root: Path, entry: Entry) -> LayerNorm:
    path, values = _module_config(root, entry)
    return LayerNorm(features=_size(path, values, "dimension"), weights=_weights(root, entry))


def _size(path: Path, values: Mapping[str, object], field: str) -> int:
    """A width in the configuration of a module."""
    size = values.get(field)
    if not isinstance(size, int) or isinstance(size, bool) or not 1 <= size <= 65_536:
        raise CheckpointError(
            f"{path}: {field} must be a whole number from 1 to 65536, found {size!r:.80}",
            hint="save the model again with sentence-transformers",
        )
    return size


def _weights(root: Path, entry: Entry) -> Path:
    """The file with the weights of a module."""
    name = next((file for file in _WEIGHTS if is_file(root, f"{entry.path}/{file}")), None)
    if name is None:
        raise CheckpointError(
            f"{root / entry.path} has no weights; it may contain {' or '.join(_WEIGHTS)}",
            hint="copy the whole folder of the model",
        )
    return root / entry.path / name


def _module_config(root: Path, entry: Entry) -> tuple[Path, Mapping[str, object]]:
    """The configuration of a module, and its path."""
    path = root / entry.path / _CONFIG
    if not _has_config(root, entry):
        raise CheckpointError(
            f"{root / MODULES} names the module {entry.name}, and {path} does not exist",
            hint="copy the whole folder of the model",
        )
    return path, json_file.read_json(path)


def _has_config(root: Path, entry: Entry) -> bool:
    return bool(entry.path) and is_file(root, f"{entry.path}/{_CONFIG}")
