"""LoRA adapters of the peft library, merged into their base model.

A LoRA of the rank r adds scale * B A to a weight, with scale = lora_alpha / r (Hu et al. 2021, LoRA, arXiv:2106.09685,
section 4.1), or lora_alpha / sqrt(r) for rank-stabilized LoRA (Kalajdzievski 2023, arXiv:2312.03732). peft itself is
not needed: an adapter may come from a stranger, and only what is listed here is read.
"""

import logging
import math
import re
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from model_src import folder, heads, tensors
from model_src.checkpoint import WORD_EMBEDDINGS, fill, find_head, rename, save_checkpoint
from model_src.config import MOST_LABELS, DistilBertConfig
from model_src.errors import CheckpointError
from model_src.folder import ADAPTER, TOKENIZER_FILES, CheckpointFolder
from model_src.heads.base import Head
from model_src.json_file import read_json
from model_src.links import is_file
from model_src.sentence import reading, writing
from model_src.sentence.listing import MODULES

_logger = logging.getLogger("model_src")

_WEIGHTS = ("adapter_model.safetensors", "adapter_model.bin")
_TASKS = {
    "SEQ_CLS": "sequence_classification",
    "TOKEN_CLS": "token_classification",
    "QUESTION_ANS": "question_answering",
    "FEATURE_EXTRACTION": "features",
}
# Settings that are read, that choose what is trained, or that act while it is trained. Any other one of peft's could
# make the merged weight another one than W + scale * B A, and is refused if it is set
_SETTINGS = frozenset(
    "alpha_pattern auto_mapping base_model_name_or_path bias corda_config ensure_weight_tying eva_config "
    "exclude_modules fan_in_fan_out inference_mode init_lora_weights layers_pattern layers_to_transform loftq_config "
    "lora_alpha lora_dropout lora_ga_config megatron_core modules_to_save peft_type peft_version qalora_group_size r "
    "rank_pattern revision runtime_config target_modules task_type use_rslora".split()
)
_MOST_ALPHA = 1e9
# Ways to start a training that leave the base model's weights as they are
_STARTS = ("gaussian", "eva", "orthogonal", "mica")
_PREFIX = "base_model.model."
_WRAPPERS = re.compile(r"\.(modules_to_save|base_layer|default)(?=\.)")
# The base model's own copy of a module that was trained and saved whole
_ORIGINAL = ".original_module."
_FACTOR = re.compile(
    r"(?P<module>.+)\.(?P<factor>lora_A|lora_B|lora_embedding_A|lora_embedding_B)(\.weight)?"
)
_HINT = (
    "merge it with peft: PeftModel.from_pretrained(base, adapter).merge_and_unload().save_pretrained(folder)"
)


def merge_adapter(source: Path, destination: Path, *, base: str | Path | None = None) -> Path:
    """Write the checkpoint that the adapter in the folder `source` makes of its base model; returns `destination`.

    `base` is a folder or a hub id; by default it is the hub id in adapter_config.json. The tokenizer is the adapter's,
    or else the base model's; the modules of a sentence-transformers folder are copied. Raises CheckpointError for an
    adapter that is not a plain LoRA, for tensors that do not fit, and for a base model that must be named; and what
    load_checkpoint raises for the base model.
    """
    settings = read_json(source / ADAPTER)
    _check_supported(settings, source)
    adapter_state = _read(source)
    files = folder.find(_base(settings, source) if base is None else base, with_adapter=True)
    task = settings.get("task_type")
    head = _TASKS.get(task) if isinstance(task, str) else None
    config = _with_labels(files.configuration(), adapter_state)
    head_class = heads.find(head) if head else find_head(files, None)
    with torch.device("meta"):
        model = head_class(config)
    state = merged(_base_state(files, model), adapter_state, settings, source)
    if _is_untied(model, state):
        if settings.get("ensure_weight_tying"):
            raise CheckpointError(
                f"{source / ADAPTER} has ensure_weight_tying, and the adapter changes one of the two tied weights",
                hint=_HINT,
            )
        _logger.info("%s: %s is no longer tied to the word embeddings", source, model.tied_layer)
        with torch.device("meta"):
            model = head_class(replace(config, tie_word_embeddings=False))
    fill(model, state, source)
    save_checkpoint(model, destination)
    if is_file(source, MODULES):
        writing.write(reading.read(source), destination)
    own = [source / name for name in TOKENIZER_FILES if is_file(source, name)]
    for path in own or files.tokenizer:
        shutil.copyfile(path, destination / path.name)
    return destination


def merged(
    state: Mapping[str, Tensor], adapter: Mapping[str, Tensor], settings: Mapping[str, object], source: Path
) -> dict[str, Tensor]:
    """`state` with the tensors of `adapter` added or put in its place, by the content of adapter_config.json.

    Raises CheckpointError, which names the adapter `source`, for a tensor that has no place or does not fit.
    """
    result = dict(state)
    factors: dict[str, dict[str, Tensor]] = {}
    for name, tensor in adapter.items():
        match = _FACTOR.fullmatch(name)
        if match:
            factors.setdefault(match["module"], {})[match["factor"]] = tensor
        else:
            result[name] = tensor
    for module, pair in factors.items():
        name = f"{module}.weight"
        is_embedding = "lora_embedding_A" in pair
        names = ("lora_embedding_A", "lora_embedding_B") if is_embedding else ("lora_A", "lora_B")
        if name not in result or set(pair) != set(names):
            raise CheckpointError(
                f"the adapter in {source} has {', '.join(sorted(pair))} of {module}; "
                f"needed are {' and '.join(names)}, and {name} in the base model",
                hint="check that it is the base model that the adapter was trained on: --base",
            )
        down, up = (pair[key] for key in names)
        weight = result[name].T if is_embedding else result[name]
        if down.dim() != 2 or up.dim() != 2 or not len(down) or (*up.shape, *down.shape) != (
            weight.shape[0], len(down), len(down), weight.shape[1],
        ):  # fmt: skip
            raise CheckpointError(
                f"the adapter in {source} has factors of shape {tuple(up.shape)} and {tuple(down.shape)} for {name}, "
                f"which is {tuple(result[name].shape)} in the base model",
                hint="check that it is the base model that the adapter was trained on: --base",
            )
        _check_rank(settings, module, len(down), source)
        change = _scale(settings, module, len(down), source) * (up @ down)
        result[name] = (weight + change).T if is_embedding else weight + change
    return result


def _read(source: Path) -> dict[str, Tensor]:
    """The adapter's tensors, under the names that they have in a model."""
    path = next((source / name for name in _WEIGHTS if is_file(source, name)), None)
    if path is None:
        raise CheckpointError(
            f"{source} has {ADAPTER} and no weights of the adapter; it may contain {' or '.join(_WEIGHTS)}",
            hint="copy the whole folder of the adapter",
        )
    return {
        folder.in_model(_WRAPPERS.sub("", name).removeprefix(_PREFIX)): tensor
        for name, tensor in tensors.read((path,)).items()
        if _ORIGINAL not in name
    }


def _base(settings: Mapping[str, object], source: Path) -> str:
    """The hub id of the base model.

    A folder is not followed: an adapter from a stranger could name a private model, which would be published.
    """
    name = settings.get("base_model_name_or_path")
    if not isinstance(name, str) or not folder.is_hub_id(name) or Path(name).exists():
        raise CheckpointError(
            f"the base model in {source / ADAPTER} is {name!r:.200}, which is not the id of a model on the hub",
            hint="name the base model if you trust the adapter: distilforge convert ADAPTER DESTINATION --base FOLDER",
        )
    return name


def _base_state(files: CheckpointFolder, model: Head) -> dict[str, Tensor]:
    """The base model's tensors that `model` has too; the others, which are those of another head, are logged."""
    state = rename(tensors.read(files.weights), model)
    expected = model.state_dict()
    for name in sorted(state.keys() - expected.keys()):
        _logger.info("%s: %s is not used, since the head %s does not have it", files.path, name, model.name)
    return {name: tensor for name, tensor in state.items() if name in expected}


def _is_untied(model: Head, state: Mapping[str, Tensor]) -> bool:
    """Whether the adapter changed the word embeddings, or the layer of `model` that is tied to them, and not the other.

    peft adds to a module and not to its weight, so the other module keeps the base model's weight.
    """
    if not model.tied_layer or not model.config.tie_word_embeddings:
        return False
    pair = [state.get(name) for name in (WORD_EMBEDDINGS, f"{model.tied_layer}.weight")]
    return pair[0] is not None and pair[1] is not None and not torch.equal(pair[0], pair[1])


def _with_labels(config: DistilBertConfig, adapter: Mapping[str, Tensor]) -> DistilBertConfig:
    """`config` with as many labels as the classifier in the adapter has, if it has one."""
    weight = adapter.get("classifier.weight")
    count = len(weight) if weight is not None and weight.dim() == 2 else len(config.labels)
    if count in (0, len(config.labels)):
        return config
    if count > MOST_LABELS:
        raise CheckpointError(
            f"the classifier of the adapter has {count:,} labels; a checkpoint may have at most {MOST_LABELS:,}",
            hint="name an adapter of a classifier with fewer labels",
        )
    return replace(config, labels=tuple(f"LABEL_{index}" for index in range(count)))


def _check_rank(settings: Mapping[str, object], module: str, rank: int, source: Path) -> None:
    """Raise CheckpointError where the factors of `module` have another rank than the settings say.

    The scale comes from the settings, so that those of another training would give other weights.
    """
    said, patterns = settings.get("r"), settings.get("rank_pattern")
    # Which module a pattern is for is a regular expression, of which an adapter from a stranger could be endless
    ranks = [said, *(patterns.values() if isinstance(patterns, dict) else ())]
    if said is not None and rank not in ranks:
        raise CheckpointError(
            f"the factors of {module} have the rank {rank}, and {source / ADAPTER} says r {said!r:.80}",
            hint="copy the adapter again, with the settings and the weights of one training",
        )


def _scale(settings: Mapping[str, object], module: str, rank: int, source: Path) -> float:
    alpha: object = settings.get("lora_alpha")
    patterns = settings.get("alpha_pattern")
    for pattern, value in patterns.items() if isinstance(patterns, dict) else ():
        if module == pattern or module.endswith(f".{pattern}"):
            alpha = value
            # As in peft, the first pattern that fits counts
            break
    # Also what no float can hold: NaN, infinity, and whole numbers of hundreds of digits
    if (
        not isinstance(alpha, int | float)
        or isinstance(alpha, bool)
        or not -_MOST_ALPHA <= alpha <= _MOST_ALPHA
    ):
        raise CheckpointError(
            f"the lora_alpha in {source / ADAPTER} must be a number of at most {_MOST_ALPHA:g}, found {alpha!r:.80}",
            hint="copy the adapter again",
        )
    return alpha / (math.sqrt(rank) if settings.get("use_rslora") is True else rank)


def _check_supported(settings: Mapping[str, object], source: Path) -> None:
    """Raise CheckpointError for an adapter that is not a plain LoRA."""
    path = source / ADAPTER
    kind = settings.get("peft_type")
    if kind != "LORA":
        raise CheckpointError(f"{path} has the peft_type {kind!r:.80}; only 'LORA' is supported", hint=_HINT)
    for name in sorted(settings.keys() - _SETTINGS):
        if settings[name]:
            raise CheckpointError(
                f"{path} has {name} {settings[name]!r:.80}, which is not supported", hint=_HINT
            )
    start = settings.get("init_lora_weights")
    if isinstance(start, str) and start.lower() not in _STARTS:
        raise CheckpointError(
            f"{path} has init_lora_weights {start!r:.80}, which may change the base model too; supported are "
            f"{', '.join(_STARTS)}",
            hint=_HINT,
        )
    patterns = settings.get("alpha_pattern")
    if isinstance(patterns, dict) and any(re.escape(name).replace(r"\.", ".") != name for name in patterns):
        raise CheckpointError(
            f"{path} has the alpha_pattern {patterns!r:.80}; only names of modules are supported, not patterns",
            hint=_HINT,
        )
