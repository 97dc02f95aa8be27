"""The part of a release's config.json that this package reads."""

from collections.abc import Mapping
from dataclasses import dataclass

from distilforge.limits import MOST_LABELS
from distilforge.manifest.document import READER

_USUAL_LABELS = 2
_MOST_VOCABULARY = 10_000_000
_MOST_POSITIONS = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelConfiguration:
    """Facts about the model, by Hugging Face's names. Raises ValueError for values that no model has."""

    vocab_size: int
    """How many token ids the model has embeddings for."""
    architectures: tuple[str, ...] = ()
    """The model's class in transformers; a release names one."""
    id2label: Mapping[str, str] | None = None
    """The labels by their ids, which are written as text; None if they have no names of their own."""
    num_labels: int | None = None
    """How many labels there are, if they have no names; None for two."""
    problem_type: str | None = None
    """Which function turns logits into scores; None if the number of labels decides."""
    max_position_embeddings: int | None = None
    """The most tokens of an input; None if the file does not say."""
    dim: int | None = None
    """The width of hidden states; None if the file does not say."""

    def __post_init__(self) -> None:
        _check_size("vocab_size", self.vocab_size, _MOST_VOCABULARY)
        _check_size("num_labels", self.num_labels, MOST_LABELS)
        _check_size("max_position_embeddings", self.max_position_embeddings, _MOST_POSITIONS)
        if self.id2label is not None:
            _check_size("the number of labels in id2label", len(self.id2label), MOST_LABELS)
            missing = next(
                (str(index) for index in range(len(self.id2label)) if str(index) not in self.id2label), None
            )
            if missing is not None:
                raise ValueError(f"id2label has {len(self.id2label)} labels, and none with the id {missing}")

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels, in the order of their ids."""
        if self.id2label is None:
            count = _USUAL_LABELS if self.num_labels is None else self.num_labels
            return tuple(f"LABEL_{index}" for index in range(count))
        return tuple(self.id2label[str(index)] for index in range(len(self.id2label)))

    @classmethod
    def from_json(cls, text: str, path: str = "config.json") -> "ModelConfiguration":
        """The configuration in `text`; ReleaseError, which names `path` and the field, where it does not fit."""
        return READER.read_json(cls, text, path)


def _check_size(what: str, size: int | None, most: int) -> None:
    if size is not None and not 1 <= size <= most:
        raise ValueError(f"{what} must be 1 to {most:,}, found {size!r:.40}")
