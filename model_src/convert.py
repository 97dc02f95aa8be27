"""Convert BERT checkpoints, other frameworks' files and adapters to DistilBERT checkpoints that compute the same.

DistilBERT is BERT without token types and without a pooler (Sanh et al. 2019, section 3). If all tokens have type 0,
the embedding of that type is a constant. It is added to the position embeddings, so the hidden states are the same.
"""

import shutil
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from model_src import adapter, folder, heads, json_file, tensors
from model_src.checkpoint import fill, load_checkpoint, rename, save_checkpoint
from model_src.config import DistilBertConfig
from model_src.errors import CheckpointError, ConfigurationError
from model_src.folder import CheckpointFolder
from model_src.links import is_file
from model_src.model import LAYER_NORM_EPSILON
from model_src.names import without_wrappers
from model_src.sentence import writing

# The fields of a BERT's config.json and those of a DistilBERT's
_FIELDS = {
    "vocab_size": "vocab_size",
    "max_position_embeddings": "max_position_embeddings",
    "num_hidden_layers": "n_layers",
    "num_attention_heads": "n_heads",
    "hidden_size": "dim",
    "intermediate_size": "hidden_dim",
    "hidden_dropout_prob": "dropout",
    "attention_probs_dropout_prob": "attention_dropout",
    "hidden_act": "activation",
    "initializer_range": "initializer_range",
    "pad_token_id": "pad_token_id",
    "id2label": "id2label",
    "tie_word_embeddings": "tie_word_embeddings",
}

# Heads that read the hidden states. The others read the output of the tanh pooler, which DistilBERT does not have
_HEADS = {
    "BertModel": "features",
    "BertForMaskedLM": "masked_lm",
    "BertForTokenClassification": "token_classification",
    "BertForQuestionAnswering": "question_answering",
}

# Parts of BERT's names and of DistilBERT's; all parts that match are replaced, in this order
_RENAMES = (
    ("encoder.layer.", "transformer.layer."),
    ("attention.self.query.", "attention.q_lin."),
    ("attention.self.key.", "attention.k_lin."),
    ("attention.self.value.", "attention.v_lin."),
    ("attention.output.dense.", "attention.out_lin."),
    ("attention.output.LayerNorm.", "sa_layer_norm."),
    ("intermediate.dense.", "ffn.lin1."),
    ("cls.predictions.transform.dense.", "vocab_transform."),
    ("cls.predictions.transform.LayerNorm.", "vocab_layer_norm."),
    ("cls.predictions.decoder.", "vocab_projector."),
    ("cls.predictions.bias", "vocab_projector.bias"),
    (".output.dense.", ".ffn.lin2."),
    (".output.LayerNorm.", ".output_layer_norm."),
)
_DROPPED = (
    "pooler.",
    "cls.seq_relationship.",
    "embeddings.position_ids",
    "embeddings.token_type_embeddings.",
)
# The endings of TensorFlow's and Flax's files
_OTHER_FRAMEWORKS = (".h5", ".msgpack")
_TOKEN_TYPES = "embeddings.token_type_embeddings.weight"
_POSITIONS = "embeddings.position_embeddings.weight"


def convert(source: str, destination: Path, *, base: str | None = None) -> Path:
    """Write the checkpoint at `source` as a DistilBERT checkpoint; returns `destination`.

    It is a BERT (`convert_bert`), a DistilBERT in TensorFlow's or Flax's files, or a PEFT adapter of a DistilBERT,
    whose base model may be given in `base` (adapter.merge_adapter). Raises CheckpointError or ConfigurationError if it
    cannot be converted.
    """
    try:
        return _convert(source, destination, base)
    except OSError as cause:
        raise CheckpointError(
            f"{str(destination)!r:.200} cannot be written: {cause}",
            hint="choose another destination, or make room there",
        ) from cause


def _convert(source: str, destination: Path, base: str | None) -> Path:
    if is_file(Path(source), folder.ADAPTER):
        return adapter.merge_adapter(Path(source), destination, base=base)
    if base is not None:
        raise CheckpointError(
            f"{source} has no {folder.ADAPTER}, and a base model is given", hint="leave out --base"
        )
    files = folder.find(source)
    if files.read_config().get("model_type") == "distilbert" and files.weights[0].suffix in _OTHER_FRAMEWORKS:
        return _convert_framework(files, destination)
    return convert_bert(source, destination)


def _convert_framework(files: CheckpointFolder, destination: Path) -> Path:
    """Write a DistilBERT in another framework's files as a checkpoint for PyTorch."""
    save_checkpoint(load_checkpoint(files.root).model, destination)
    _copy(files, destination)
    return destination


def _copy(files: CheckpointFolder, destination: Path) -> None:
    """Copy the tokenizer, and the modules of a sentence-transformers folder."""
    for path in files.tokenizer:
        shutil.copyfile(path, destination / path.name)
    if files.sentence is not None:
        writing.write(files.sentence, destination)


def convert_bert(source: str | Path, destination: Path) -> Path:
    """Write the BERT checkpoint at `source`, a folder or a hub id, as a DistilBERT checkpoint; returns `destination`.

    The outputs are equal for inputs whose token types are all 0, apart from rounding. The modules of a
    sentence-transformers folder are copied. Raises CheckpointError or ConfigurationError if there is no exact
    conversion.
    """
    files = folder.find(source)
    values = files.read_config()
    head = _head(values, files.config)
    config = distilbert_config(values)
    # Without memory, since the converted tensors become the weights
    with torch.device("meta"):
        model = heads.find(head)(config)
    fill(model, rename(_converted(tensors.read(files.weights), files.path), model), files.path)
    save_checkpoint(model, destination)
    _copy(files, destination)
    _rewrite_tokenizer_config(destination / "tokenizer_config.json", values.get("tokenizer_class"))
    return destination


def distilbert_config(values: Mapping[str, object]) -> DistilBertConfig:
    """The configuration of a DistilBERT for the content of a BERT's config.json.

    Raises ConfigurationError if no DistilBERT computes the same.
    """
    if values.get("model_type") != "bert":
        raise ConfigurationError(f"model_type is {values.get('model_type')!r:.80}, not 'bert'")
    if values.get("position_embedding_type", "absolute") != "absolute":
        raise ConfigurationError(
            f"position_embedding_type is {values['position_embedding_type']!r:.80}; a DistilBERT has absolute positions"
        )
    epsilon = values.get("layer_norm_eps", LAYER_NORM_EPSILON)
    if epsilon != LAYER_NORM_EPSILON:
        raise ConfigurationError(
            f"layer_norm_eps is {epsilon!r:.80}; that of a DistilBERT is always {LAYER_NORM_EPSILON}"
        )
    renamed = {ours: values[theirs] for theirs, ours in _FIELDS.items() if values.get(theirs) is not None}
    return DistilBertConfig.from_hugging_face({"model_type": "distilbert", **renamed})


def _head(values: Mapping[str, object], path: Path) -> str:
    named = values.get("architectures")
    architecture = str(named[0]) if isinstance(named, list) and named else "BertModel"
    if architecture not in _HEADS:
        raise ConfigurationError(
            f"{path} names {architecture!r:.80}, which has no exact DistilBERT; these have one: {', '.join(_HEADS)}",
            hint='convert the encoder alone (architectures: ["BertModel"]) and train the head again',
        )
    return _HEADS[architecture]


def _converted(state: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    """BERT's tensors under DistilBERT's names, with the embedding of token type 0 added to every position."""
    bare = {without_wrappers(name).removeprefix("bert."): tensor for name, tensor in state.items()}
    for needed in (_TOKEN_TYPES, _POSITIONS):
        if needed not in bare:
            raise CheckpointError(
                f"the weights in {path} do not contain {needed}", hint="check that it is a BERT checkpoint"
            )
    positions, token_types = bare[_POSITIONS], bare[_TOKEN_TYPES]
    if positions.dim() != 2 or token_types.dim() != 2 or positions.shape[1] != token_types.shape[1]:
        raise CheckpointError(
            f"the weights in {path} have position embeddings of shape {tuple(positions.shape)} and token type "
            f"embeddings of shape {tuple(token_types.shape)}; both must be matrices of the same width",
            hint="check that it is a BERT checkpoint",
        )
    if not len(token_types):
        raise CheckpointError(
            f"the weights in {path} have no token types", hint="check that it is a BERT checkpoint"
        )
    folded = {**bare, _POSITIONS: positions + token_types[0]}
    return {_renamed(name): tensor for name, tensor in folded.items() if not name.startswith(_DROPPED)}


def _renamed(name: str) -> str:
    for theirs, ours in _RENAMES:
        name = name.replace(theirs, ours)
    return folder.in_model(name)


def _rewrite_tokenizer_config(path: Path, model_class: object) -> None:
    """Name DistilBERT's tokenizer instead of BERT's; a tokenizer of another class keeps its name.

    `model_class` is the class in config.json, which counts if tokenizer_config.json does not name one.
    """
    values = dict(json_file.read_json(path)) if path.is_file() else {}
    tokenizer_class = values.get("tokenizer_class") or model_class
    is_bert = tokenizer_class in (None, "BertTokenizer", "BertTokenizerFast")
    values["tokenizer_class"] = "DistilBertTokenizer" if is_bert else tokenizer_class
    values["model_input_names"] = ["input_ids", "attention_mask"]
    json_file.write_json(path, values, indent=2)
