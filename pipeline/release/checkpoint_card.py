"""What the model card of a checkpoint says about licences and origins: the YAML at the top of its README.md.

Source: https://huggingface.co/docs/hub/model-cards, "Model card metadata".
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

CARD = "README.md"
MOST_BYTES = 1 << 20
"""The longest card that is read."""
MOST_NAMES = 100
"""The most licences, data sets or models of a card that are kept."""
MOST_CHARACTERS = 500
"""The longest name that is kept."""
_METADATA = re.compile(r"\A---[ \t]*\r?\n(.*?\n)---[ \t]*(?:\r?\n|\Z)", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointCard:
    """What the card says; empty where it says nothing."""

    licenses: tuple[str, ...] = ()
    """The licences, by the hub's names, such as `apache-2.0`, or by names of their own."""
    license_link: str = ""
    """Where the licence is, if it has no well-known name."""
    datasets: tuple[str, ...] = ()
    """The data sets that the model was trained on."""
    base_models: tuple[str, ...] = ()
    """The models that it was trained or converted from."""
    note: str = ""
    """Why the card could not be read, as a sentence; "" if it could, or if there is none."""


def read_card(checkpoint: Path) -> CheckpointCard:
    """What the card in the folder `checkpoint` says. A card describes and decides nothing, so that none is an error."""
    path = checkpoint / CARD
    try:
        if not path.is_file():
            return CheckpointCard()
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            return _unreadable(path, f"it has more than {MOST_BYTES} bytes")
        metadata = _METADATA.match(content.decode("utf-8"))
        values: object = yaml.safe_load(metadata[1]) if metadata else {}
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as cause:
        return _unreadable(path, str(cause))
    if not isinstance(values, dict):
        return _unreadable(path, "its metadata are not a mapping")
    named = _texts(values, "license_name")
    return CheckpointCard(
        # "other" only says that license_name has the name
        licenses=named or _texts(values, "license"),
        license_link="".join(_texts(values, "license_link")[:1]),
        datasets=_texts(values, "datasets"),
        base_models=_texts(values, "base_model"),
    )


def _unreadable(path: Path, reason: str) -> CheckpointCard:
    return CheckpointCard(note=f"the licences in {path} could not be read: {' '.join(reason.split())}")


def _texts(values: Mapping[object, object], name: str) -> tuple[str, ...]:
    """The text or the texts called `name`; what is neither, and what is too much, is left out."""
    value = values.get(name)
    entries = value if isinstance(value, list) else [value]
    texts = (entry.strip() for entry in entries[:MOST_NAMES] if isinstance(entry, str))
    return tuple(text for text in texts if 0 < len(text) <= MOST_CHARACTERS)
