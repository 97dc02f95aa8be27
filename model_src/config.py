"""DistilBertConfig: every field of Hugging Face's configuration that changes the computation. Needs no torch."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Literal

from model_src.errors import ConfigurationError

ACTIVATIONS = ("gelu", "gelu_new", "gelu_pytorch_tanh", "relu", "silu", "swish", "mish", "tanh")
PROBLEM_TYPES = ("regression", "single_label_classification", "multi_label_classification")
ProblemType = Literal["regression", "single_label_classification", "multi_label_classification"]

# transformers also reads the generic names
_SYNONYMS = {"hidden_size": "dim", "num_attention_heads": "n_heads", "num_hidden_layers": "n_layers"}
_COUNTS = ("vocab_size", "max_position_embeddings", "n_layers", "n_heads", "dim", "hidden_dim")
_PROBABILITIES = ("dropout", "attention_dropout", "qa_dropout", "seq_classif_dropout")
_FLAGS = ("sinusoidal_pos_embds", "tie_word_embeddings")


@dataclass(frozen=True, slots=True, kw_only=True)
class DistilBertConfig:
    """Sizes and choices of one DistilBERT; `labels` are id2label's texts in the order of their ids.

    Raises ConfigurationError for values that no DistilBERT can have. Source: transformers' DistilBertConfig.
    """

    vocab_size: int = 30522
    max_position_embeddings: int = 512
    sinusoidal_pos_embds: bool = False
    n_layers: int = 6
    n_heads: int = 12
    dim: int = 768
    hidden_dim: int = 3072
    dropout: float = 0.1
    attention_dropout: float = 0.1
    activation: str = "gelu"
    initializer_range: float = 0.02
    qa_dropout: float = 0.1
    seq_classif_dropout: float = 0.2
    pad_token_id: int | None = 0
    labels: tuple[str, ...] = ("LABEL_0", "LABEL_1")
    problem_type: ProblemType | None = None
    tie_word_embeddings: bool = True

    def __post_init__(self) -> None:
        for name in _COUNTS:
            if getattr(self, name) < 1:
                raise ConfigurationError(f"{name} must be at least 1, found {getattr(self, name)}")
        for name in _PROBABILITIES:
            if not 0 <= getattr(self, name) < 1:
                raise ConfigurationError(
                    f"{name} must be at least 0 and below 1, found {getattr(self, name)}"
                )
        if self.dim % self.n_heads:
            raise ConfigurationError(
                f"dim {self.dim} cannot be split evenly over {self.n_heads} attention heads",
                hint="n_heads must divide dim; see config.json of the checkpoint",
            )
        if self.activation not in ACTIVATIONS:
            near = difflib.get_close_matches(self.activation, ACTIVATIONS, n=1)
            raise ConfigurationError(
                f"unknown activation {self.activation!r}; known: {', '.join(ACTIVATIONS)}",
                hint=f"did you mean {near[0]!r}?" if near else "",
            )
        if self.pad_token_id is not None and not 0 <= self.pad_token_id < self.vocab_size:
            raise ConfigurationError(
                f"pad_token_id {self.pad_token_id} lies outside the vocabulary of {self.vocab_size} entries"
            )
        if self.problem_type not in (None, *PROBLEM_TYPES):
            raise ConfigurationError(
                f"unknown problem_type {self.problem_type!r}; known: {', '.join(PROBLEM_TYPES)}"
            )
        if not self.labels:
            raise ConfigurationError("id2label is empty; a DistilBERT needs at least one label")

    @property
    def head_dim(self) -> int:
        """Width of one attention head."""
        return self.dim // self.n_heads

    @classmethod
    def from_hugging_face(cls, values: Mapping[str, object]) -> "DistilBertConfig":
        """The configuration in a config.json; ConfigurationError names the field that does not fit."""
        model_type = values.get("model_type")
        if model_type != "distilbert":
            raise ConfigurationError(
                f"model_type is {model_type!r}, not 'distilbert'",
                hint="a BERT encoder can be converted first: distilforge convert SOURCE DESTINATION",
            )
        renamed = {_SYNONYMS.get(name, name): value for name, value in values.items()}
        known = {field.name for field in fields(cls)} - {"labels"}
        chosen = {name: value for name, value in renamed.items() if name in known}
        return cls(labels=_labels(values), **_typed(chosen))  # type: ignore[arg-type]

    def to_hugging_face(self, architecture: str) -> dict[str, object]:
        """config.json's content for a checkpoint whose class in transformers is `architecture`."""
        written: dict[str, object] = {
            field.name: getattr(self, field.name) for field in fields(self) if field.name != "labels"
        }
        if self.problem_type is None:
            del written["problem_type"]
        return {
            "architectures": [architecture],
            "model_type": "distilbert",
            **written,
            "id2label": {str(index): label for index, label in enumerate(self.labels)},
            "label2id": {label: index for index, label in enumerate(self.labels)},
        }


def _labels(values: Mapping[str, object]) -> tuple[str, ...]:
    named = values.get("id2label")
    if named is None:
        count = values.get("num_labels", 2)
        if not isinstance(count, int) or isinstance(count, bool) or count < 1:
            raise ConfigurationError(f"num_labels must be a whole number of at least 1, found {count!r}")
        return tuple(f"LABEL_{index}" for index in range(count))
    if not isinstance(named, dict):
        raise ConfigurationError(f"id2label must be an object, found {named!r:.80}")
    try:
        by_id = {int(index): str(label) for index, label in named.items()}
    except ValueError as cause:
        raise ConfigurationError(
            f"id2label's keys must be whole numbers, found {list(named)!r:.80}"
        ) from cause
    if sorted(by_id) != list(range(len(by_id))):
        raise ConfigurationError(f"id2label's ids must run from 0 without gaps, found {sorted(by_id)!r:.80}")
    return tuple(by_id[index] for index in range(len(by_id)))


def _typed(values: Mapping[str, object]) -> dict[str, object]:
    """`values` with each one's type checked."""
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
