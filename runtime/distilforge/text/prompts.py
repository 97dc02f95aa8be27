"""Prompts of embedding models: what stands in front of a text, by the settings of sentence-transformers."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from distilforge.errors import InputError
from distilforge.registry import nearest

SETTINGS = "config_sentence_transformers.json"
"""The file of a release with the prompts."""
# SentenceTransformer has these, empty, even where the settings do not name them
_ALWAYS = {"query": "", "document": ""}


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompts:
    """The prompts of a release."""

    texts: Mapping[str, str] = field(default_factory=dict)
    """The text of each prompt, by its name; empty for a model that has no prompts."""
    default: str = ""
    """The text of the prompt that is used where none is named."""

    @classmethod
    def from_settings(cls, settings: Mapping[str, object]) -> "Prompts":
        """The prompts in the content of config_sentence_transformers.json.

        Raises ValueError for prompts that are not texts, and for a default that is not one of them.
        """
        prompts = settings.get("prompts")
        if prompts is None:
            prompts = {}
        if not isinstance(prompts, dict) or not all(
            isinstance(text, str | None) for text in prompts.values()
        ):
            raise ValueError(f"prompts must be an object of texts, found {prompts!r:.80}")
        texts = _ALWAYS | {name: text or "" for name, text in prompts.items()}
        default = settings.get("default_prompt_name")
        if default is None:
            return cls(texts=texts)
        if not isinstance(default, str) or default not in texts:
            raise ValueError(
                f"default_prompt_name is {default!r:.80}; {nearest(str(default), tuple(sorted(texts)))}"
            )
        return cls(texts=texts, default=texts[default])

    def find(self, name: str | None) -> str:
        """The text of the prompt called `name`, or of the default; InputError if there is no such prompt."""
        if name is None:
            return self.default
        if not isinstance(name, str) or name not in self.texts:
            raise InputError(
                f"this release has no prompt called {name!r:.80}",
                hint=nearest(str(name), tuple(sorted(self.texts))),
            )
        return self.texts[name]


def prompted(text: str | tuple[str, str], prompt: str) -> str | tuple[str, str]:
    """`text` after `prompt`; of a pair, the first text is."""
    return prompt + text if isinstance(text, str) else (prompt + text[0], text[1])
