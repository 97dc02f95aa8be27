"""The tokenizer classes of transformers, and how each of them becomes tokenizer.json."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from model_src.errors import CheckpointError
from model_src.folder import CheckpointFolder
from pipeline.release.added_tokens import CONFIG, read_values

_MODEL_CLASS = "DistilBertTokenizer"
_AUTO = "AutoTokenizer"
_FILE = "tokenizer.json"
_FILES = "fast_tokenizer_files"


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenizerClass:
    """What transformers does when it loads a tokenizer of one class."""

    from_vocabulary: bool
    """Whether it makes a WordPiece tokenizer from vocab.txt if there is no tokenizer.json."""
    sets_normalizer: bool
    """Whether it changes tokenizer.json's normalizer to do_lower_case, strip_accents and tokenize_chinese_chars."""
    special: Mapping[str, str]
    """Its special tokens where no file names others, by transformers' names for them."""


_BERT = {
    "unk_token": "[UNK]",
    "sep_token": "[SEP]",
    "pad_token": "[PAD]",
    "cls_token": "[CLS]",
    "mask_token": "[MASK]",
}
_ROBERTA = {
    "bos_token": "<s>",
    "eos_token": "</s>",
    "unk_token": "<unk>",
    "sep_token": "</s>",
    "pad_token": "<pad>",
    "cls_token": "<s>",
    "mask_token": "<mask>",
}
_WORD_PIECE = TokenizerClass(from_vocabulary=True, sets_normalizer=True, special=_BERT)
_TOKENIZER_JSON = TokenizerClass(from_vocabulary=False, sets_normalizer=False, special={})

# The names are those of transformers 4.57 and 5, without the ending Fast. Classes that are not here need Python code
# (BertJapaneseTokenizer, tokenizers of a checkpoint's own), or nobody has compared them with tokenizer.json
_CLASSES = {
    "DistilBertTokenizer": _WORD_PIECE,
    "BertTokenizer": _WORD_PIECE,
    "ConvBertTokenizer": _WORD_PIECE,
    "ElectraTokenizer": _WORD_PIECE,
    "LayoutLMTokenizer": _WORD_PIECE,
    "LxmertTokenizer": _WORD_PIECE,
    "MobileBertTokenizer": _WORD_PIECE,
    "SqueezeBertTokenizer": _WORD_PIECE,
    "PreTrainedTokenizer": _TOKENIZER_JSON,
    "TokenizersBackend": _TOKENIZER_JSON,
    "XLMRobertaTokenizer": replace(_TOKENIZER_JSON, special=_ROBERTA),
}


def find(checkpoint: CheckpointFolder) -> TokenizerClass:
    """The tokenizer class that AutoTokenizer of transformers takes for `checkpoint`.

    tokenizer_config.json names it, or else config.json; without a name it is that of DistilBERT. Raises CheckpointError
    for a class that was not compared with tokenizer.json, for code in the checkpoint (auto_map), and for another file
    in the place of tokenizer.json (fast_tokenizer_files).
    """
    settings = read_values(checkpoint.path / CONFIG)
    source, name = CONFIG, settings.get("tokenizer_class")
    code = _code(settings)
    if name is None:
        model = read_values(checkpoint.config)
        source, name = checkpoint.config.name, model.get("tokenizer_class")
        code = code or _code(model)
    path = checkpoint.path / source
    if code:
        raise CheckpointError(
            f"the tokenizer of {checkpoint.path} is code in the checkpoint: auto_map names {code!r}",
            hint="such code is never run. If a tokenizer.json gives the same ids, save it as PreTrainedTokenizerFast: "
            "PreTrainedTokenizerFast(tokenizer_file='tokenizer.json').save_pretrained(folder)",
        )
    if other := _other_file(settings):
        raise CheckpointError(
            f"{checkpoint.path / CONFIG} names {other!r:.80} in {_FILES}, which transformers may load instead of "
            f"{_FILE}",
            hint=f"save the tokenizer again, or rename the file to {_FILE} and remove {_FILES}",
        )
    if name is None:
        name = _MODEL_CLASS
    known = _CLASSES.get(name.removesuffix("Fast")) if isinstance(name, str) else None
    if known is None:
        raise CheckpointError(
            f"{path} names the tokenizer class {name!r:.80}, which was not compared with "
            f"{_FILE}, or needs Python code; compared are {', '.join(_CLASSES)}, with or without Fast",
            hint="if a tokenizer.json gives the same ids, save it as PreTrainedTokenizerFast: "
            "PreTrainedTokenizerFast(tokenizer_file='tokenizer.json').save_pretrained(folder)",
        )
    return known


def _other_file(settings: Mapping[str, object]) -> object:
    """A file that `settings` names for some versions of transformers; None if there is none besides tokenizer.json."""
    files = settings.get(_FILES)
    return next((name for name in files if name != _FILE), None) if isinstance(files, list) else files


def _code(values: Mapping[str, object]) -> str:
    """The class in the checkpoint's own code that `values` names for AutoTokenizer; "" for none."""
    auto_map = values.get("auto_map")
    named = auto_map.get(_AUTO) if isinstance(auto_map, dict) else auto_map
    if not named:
        return ""
    names = [name for name in named if name] if isinstance(named, list) else [named]
    return str(names[0]) if names else ""
