"""modules.json and the settings of a sentence-transformers folder. Does not need PyTorch.

modules.json names the modules in order: the encoder, the pooling of its hidden states, and layers on the pooled
embedding. The files are those of the sentence-transformers library, versions 0.2 to 5.7.
"""

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from model_src import json_file
from model_src.errors import CheckpointError
from model_src.links import is_file

MODULES = "modules.json"
SETTINGS = "config_sentence_transformers.json"
ENCODERS = ("Transformer", "DistilBERT", "BERT")
"""The classes of encoders; version 0.2 had one for each kind."""
LAYERS = ("Pooling", "Dense", "LayerNorm", "Normalize", "Dropout")
"""The classes of modules behind the encoder that are supported."""
BARE = (
    "to build the encoder alone, remove modules.json; to build the model as it is, keep to these modules: "
    + ", ".join(("Transformer", *LAYERS))
)
"""What to do about a module that is not supported."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One module in modules.json."""

    type: str
    """Its class in the library, with its package."""
    path: str
    """Its folder, relative to that of modules.json."""

    @property
    def name(self) -> str:
        """Its class without the package."""
        return self.type.rpartition(".")[2]


def entries(root: Path) -> tuple[Entry, ...]:
    """The modules in modules.json, the encoder first; raises CheckpointError if one cannot be read or is unknown."""
    path = root / MODULES
    values = json_file.read_value(path)
    if not isinstance(values, list) or not values:
        raise CheckpointError(
            f"{path} must contain a list of modules, found {values!r:.80}",
            hint="save the model again with sentence-transformers",
        )
    listed = []
    for position, value in enumerate(values):
        kind = value.get("type") if isinstance(value, dict) else None
        place = value.get("path") if isinstance(value, dict) else None
        if not isinstance(kind, str) or not isinstance(place, str):
            raise CheckpointError(
                f"a module in {path} must have a type and a path, found {value!r:.80}",
                hint="save the model again with sentence-transformers",
            )
        # Written by hand, a path may be ".", or end in a slash
        folder = posixpath.normpath(place) if place else "."
        if folder == ".." or re.fullmatch(r"[\w.-]+", folder) is None:
            raise CheckpointError(
                f"{path} names the folder {place!r:.80}; it must be one inside the checkpoint",
                hint="save the model again with sentence-transformers",
            )
        entry = Entry(type=kind, path="" if folder == "." else folder)
        known = LAYERS if position else ENCODERS
        is_library = kind.startswith("sentence_transformers.") and ".sparse_encoder." not in kind
        if not is_library or entry.name not in known:
            raise CheckpointError(
                f"{path} has the module {kind!r:.120} at position {position}; supported there: {', '.join(known)}",
                hint=BARE,
            )
        listed.append(entry)
    return tuple(listed)


def encoder_folder(root: Path) -> Path:
    """The folder of the encoder that modules.json in `root` names; raises CheckpointError if there is none."""
    return root / entries(root)[0].path


def settings(root: Path) -> Mapping[str, object]:
    """The content of config_sentence_transformers.json; empty if there is no such file."""
    return json_file.read_json(root / SETTINGS) if is_file(root, SETTINGS) else {}


def is_cross_encoder(root: Path) -> bool:
    """Whether the settings in the folder `root` say that it is a cross-encoder."""
    return settings(root).get("model_type") == "CrossEncoder"
