"""The part of a release's config.json that this package reads."""

from dataclasses import dataclass

from distilforge.manifest.document import READER


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelConfiguration:
    """Facts about the model that are not in the manifest."""

    vocab_size: int
    """How many token ids the model has embeddings for."""
    architectures: tuple[str, ...] = ()
    """The model's class in transformers; a release names one."""

    @classmethod
    def from_json(cls, text: str, path: str = "config.json") -> "ModelConfiguration":
        """The configuration in `text`; ReleaseError, which names `path` and the field, where it does not fit."""
        return READER.read_json(cls, text, path)
