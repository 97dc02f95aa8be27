"""The configuration of a DistilBERT: those fields of config.json that change the computation. Does not need PyTorch."""

import difflib
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Literal

from model_src.errors import ConfigurationError
from model_src.sentence import cross_encoder

ACTIVATIONS = (
    "gelu", "gelu_python", "gelu_new", "gelu_pytorch_tanh", "gelu_python_tanh", "gelu_fast", "gelu_accurate",
    "gelu_10", "quick_gelu", "relu", "relu2", "relu6", "leaky_relu", "silu", "swish", "mish", "tanh", "sigmoid",
    "linear", "laplace",
)  # fmt: skip
"""The names of transformers' activations that do not have weights of their own."""
PROBLEM_TYPES = ("regression", "single_label_classification", "multi_label_classification")
ProblemType = Literal["regression", "single_label_classification", "multi_label_classification"]

SYNONYMS = {"hidden_size": "dim", "num_attention_heads": "n_heads", "num_hidden_layers": "n_layers"}
"""The names that transformers accepts too, and the fields that they mean."""
# The largest sizes that are read. Each is at least ten times that of published DistilBERTs; a module of a
# DistilBERT of 1,000 layers takes seconds to make, even without memory for weights
_COUNTS = {
    "vocab_size": 10_000_000,
    "max_position_embeddings": 1_000_000,
    "n_layers": 1_000,
    "n_heads": 65_536,
    "dim": 65_536,
    "hidden_dim": 1_000_000,
}
MOST_LABELS = 100_000
"""The most labels that a checkpoint may have."""
_PROBABILITIES = ("dropout", "attention_dropout", "qa_dropout", "seq_classif_dropout")
_FLAGS = ("sinusoidal_pos_embds", "tie_word_embeddings")


@dataclass(frozen=True, slots=True, kw_only=True)
class DistilBertConfig:
    """The sizes and options of a DistilBERT. Names and defaults are those of DistilBertConfig in transformers.

    Raises ConfigurationError for values that no DistilBERT can have.
    """

    vocab_size: int = 30522
    """Entries of the vocabulary."""
    max_position_embeddings: int = 512
    """The most tokens of an input."""
    sinusoidal_pos_embds: bool = False
    """Whether fresh position embeddings are sinusoids; a checkpoint brings its own."""
    n_layers: int = 6
    """Transformer layers."""
    n_heads: int = 12
    """Attention heads; they must divide `dim`."""
    dim: int = 768
    """The width of hidden states."""
    hidden_dim: int = 3072
    """The width between the two linear layers of the feed-forward network."""
    dropout: float = 0.1
    """The dropout probability of embeddings, feed-forward networks and the token classifier."""
    attention_dropout: float = 0.1
    """The dropout probability of attention weights."""
    activation: str = "gelu"
    """The activation of the feed-forward network and of the masked language model, one of ACTIVATIONS."""
    initializer_range: float = 0.02
    """The standard deviation of fresh weights."""
    qa_dropout: float = 0.1
    """The dropout probability of the question answering head."""
    seq_classif_dropout: float = 0.2
    """The dropout probability of the sequence classifier and of multiple choice."""
    pad_token_id: int | None = 0
    """The id of the padding token; None if there is none."""
    labels: tuple[str, ...] = ("LABEL_0", "LABEL_1")
    """The texts of id2label, in the order of their ids."""
    problem_type: ProblemType | None = None
    """What the labels of a sequence classifier mean; None lets the user decide."""
    tie_word_embeddings: bool = True
    """Whether the output layer of the masked language model has the weight of the word embeddings."""

    def __post_init__(self) -> None:
        for name, most in _COUNTS.items():
            if getattr(self, name) < 1:
                raise ConfigurationError(f"{name} must be at least 1, found {getattr(self, name)}")
            if getattr(self, name) > most:
                raise ConfigurationError(f"{name} must be at most {most}, found {getattr(self, name)!r:.80}")
        for name in _PROBABILITIES:
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigurationError(
                    f"{name} must lie between 0 and 1, found {getattr(self, name)!r:.80}"
                )
        if self.dim % self.n_heads:
            raise ConfigurationError(
                f"dim {self.dim} cannot be split evenly over {self.n_heads} attention heads",
                hint="n_heads must divide dim; see config.json of the checkpoint",
            )
        if self.activation not in ACTIVATIONS:
            near = difflib.get_close_matches(self.activation, ACTIVATIONS, n=1)
            raise ConfigurationError(
                f"unknown activation {self.activation!r:.80}; known: {', '.join(ACTIVATIONS)}",
                hint=f"did you mean {near[0]!r}?" if near else "",
            )
        if self.pad_token_id is not None and not 0 <= self.pad_token_id < self.vocab_size:
            raise ConfigurationError(
                f"pad_token_id {self.pad_token_id} lies outside the vocabulary of {self.vocab_size} entries"
            )
        if self.problem_type not in (None, *PROBLEM_TYPES):
            raise ConfigurationError(
                f"unknown problem_type {self.problem_type!r:.80}; known: {', '.join(PROBLEM_TYPES)}"
            )
        if not self.labels:
            raise ConfigurationError("there are no labels; a DistilBERT needs at least one")
        _check_label_count(len(self.labels))

    @property
    def head_dim(self) -> int:
        """The width of one attention head, `dim` / `n_heads`."""
        return self.dim // self.n_heads

    @classmethod
    def from_hugging_face(cls, values: Mapping[str, object]) -> "DistilBertConfig":
        """The configuration in the content of config.json; ConfigurationError names a field that is not valid."""
        _check_type(values)
        _check_unchanged(values)
        # As in transformers, the other name counts if both are there
        renamed = dict(values) | {
            name: values[synonym] for synonym, name in SYNONYMS.items() if synonym in values
        }
        known = {field.name for field in fields(cls)} - {"labels"}
        chosen = {name: _plain(name, value) for name, value in renamed.items() if name in known}
        labels = _labels(values)
        if chosen.get("problem_type") is None:
            chosen["problem_type"] = cross_encoder.problem_type(values, len(labels))
        else:
            cross_encoder.check_agrees(values, chosen["problem_type"], len(labels))
        return cls(labels=labels, **_typed(chosen))  # type: ignore[arg-type]

    def to_hugging_face(self, architecture: str) -> dict[str, object]:
        """The content of config.json for a checkpoint whose class in transformers is `architecture`."""
        values: dict[str, object] = {
            field.name: getattr(self, field.name) for field in fields(self) if field.name != "labels"
        }
        if self.problem_type is None:
            del values["problem_type"]
        return {
            "architectures": [architecture],
            "model_type": "distilbert",
            **values,
            "id2label": {str(index): label for index, label in enumerate(self.labels)},
            "label2id": {label: index for index, label in enumerate(self.labels)},
        }


def remarks(values: Mapping[str, object]) -> tuple[str, ...]:
    """A sentence for each value of config.json that is read as something else."""
    sentences = [
        f"{name} of config.json is {json.dumps(value)}; it is read as {json.dumps(_plain(name, value))}"
        for name, value in values.items()
        if _plain(name, value) != value
    ]
    if values.get("model_type") is None:
        sentences.append("config.json does not have a model_type; its architecture is one of DistilBERT")
    kind = cross_encoder.problem_type(values, len(_labels(values)))
    if kind is not None and values.get("problem_type") is None:
        sentences.append(
            f"the cross-encoder's activation is {cross_encoder.activation(values)}; problem_type is read as {kind}"
        )
    return tuple(sentences)


def _plain(name: str, value: object) -> object:
    """`value`, or what it stands for: no dropout for null, no padding token for -1, and labels without names for {}."""
    if name in _PROBABILITIES and value is None:
        return 0.0
    if name == "id2label" and value == {}:
        return None
    if name == "pad_token_id" and value == -1:
        return None
    return value


def _check_type(values: Mapping[str, object]) -> None:
    """Raise ConfigurationError if config.json is not that of a DistilBERT; transformers 2 wrote no model_type."""
    model_type = values.get("model_type")
    architectures = values.get("architectures")
    names = (
        [name for name in architectures if isinstance(name, str)] if isinstance(architectures, list) else []
    )
    is_old = model_type is None and any(name.startswith("DistilBert") for name in names)
    if model_type == "distilbert" or is_old:
        return
    if model_type == "bert" or any(name.startswith("Bert") for name in names):
        hint = "a BERT encoder can be converted first: distilforge convert SOURCE DESTINATION"
    elif model_type is None:
        hint = 'if it is a DistilBERT, add "model_type": "distilbert" to config.json'
    else:
        hint = "give a DistilBERT, or a BERT encoder after distilforge convert SOURCE DESTINATION"
    raise ConfigurationError(f"model_type is {model_type!r:.80}, not 'distilbert'", hint=hint)


def _check_unchanged(values: Mapping[str, object]) -> None:
    """Raise ConfigurationError if config.json says that heads were pruned or that weights were quantized."""
    pruned = values.get("pruned_heads")
    # transformers writes the layers without pruned heads too, with an empty list
    if any(pruned.values()) if isinstance(pruned, dict) else pruned:
        raise ConfigurationError(
            f"attention heads were pruned: pruned_heads is {pruned!r:.80}",
            hint="layers with fewer heads than others are not supported; build from the checkpoint before pruning",
        )
    quantization = values.get("quantization_config")
    if quantization:
        method = quantization.get("quant_method") if isinstance(quantization, dict) else None
        raise ConfigurationError(
            f"the weights are quantized: quantization_config has the quant_method {method!r:.80}",
            hint="build from the checkpoint before quantization, and choose an int8 variant: --variant TARGET:int8",
        )


def _labels(values: Mapping[str, object]) -> tuple[str, ...]:
    named = _plain("id2label", values.get("id2label"))
    if named is None:
        count = values.get("num_labels", 2)
        if not isinstance(count, int) or isinstance(count, bool) or count < 1:
            raise ConfigurationError(f"num_labels must be a whole number of at least 1, found {count!r:.80}")
        _check_label_count(count)
        return tuple(f"LABEL_{index}" for index in range(count))
    if not isinstance(named, dict):
        raise ConfigurationError(f"id2label must be an object, found {named!r:.80}")
    for index, label in named.items():
        # transformers keeps any value. Whole numbers are common, and a release has their digits
        if not isinstance(label, str) and type(label) is not int:
            raise ConfigurationError(
                f"the labels of id2label must be text or whole numbers, found {label!r:.80} for {index!r:.80}",
                hint="write the name of the class in quotes in config.json",
            )
    try:
        ids = {key: int(key) for key in named}
    except ValueError as cause:
        raise ConfigurationError(
            f"the keys of id2label must be whole numbers, found {list(named)!r:.80}"
        ) from cause
    first: dict[int, str] = {}
    for key, index in ids.items():
        if first.setdefault(index, key) != key:
            raise ConfigurationError(
                f"the keys {first[index]!r:.40} and {key!r:.40} of id2label are the same id, {index!r:.40}",
                hint="give every label one key of its own in config.json, from 0 without gaps",
            )
    by_id = {ids[key]: str(label) for key, label in named.items()}
    for label in by_id.values():
        # JSON can escape half of a character, which no file can hold
        if not label.isprintable() and any("\ud800" <= character <= "\udfff" for character in label):
            raise ConfigurationError(f"the labels of id2label must be Unicode text, found {label!r:.80}")
    if sorted(by_id) != list(range(len(by_id))):
        raise ConfigurationError(
            f"the ids of id2label must run from 0 without gaps, found {sorted(by_id)!r:.80}"
        )
    return tuple(by_id[index] for index in range(len(by_id)))


def _check_label_count(count: int) -> None:
    if count > MOST_LABELS:
        raise ConfigurationError(f"a checkpoint may have at most {MOST_LABELS} labels, found {count!r:.80}")


def _typed(values: Mapping[str, object]) -> dict[str, object]:
    """A copy of `values`; ConfigurationError if one has the wrong type."""
    for name, value in values.items():
        is_whole = isinstance(value, int) and not isinstance(value, bool)
        if name in _COUNTS:
            fits, expected = is_whole, "a whole number"
        elif name == "pad_token_id":
            fits, expected = is_whole or value is None, "a whole number or null"
        elif name in _FLAGS:
            fits, expected = isinstance(value, bool), "true or false"
        elif name == "activation":
            fits, expected = isinstance(value, str), "a name"
        elif name == "problem_type":
            fits, expected = isinstance(value, str) or value is None, "a name or null"
        else:
            fits, expected = is_whole or isinstance(value, float), "a number"
        if not fits:
            raise ConfigurationError(f"{name} must be {expected}, found {value!r:.80}")
    return dict(values)
