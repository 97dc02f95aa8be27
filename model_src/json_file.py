"""JSON files of a checkpoint, which may be damaged or hostile. Does not need PyTorch."""

from collections.abc import Mapping
from pathlib import Path

from model_src import json_text
from model_src.errors import CheckpointError

MOST_JSON_BYTES = 64 << 20
"""The largest JSON file that is read; tokenizer.json of a vocabulary of 250,000 entries has 17 MB."""


def read_json(path: Path) -> Mapping[str, object]:
    """The JSON object in `path`; raises CheckpointError if the file contains anything else."""
    value = read_value(path)
    if not isinstance(value, dict):
        raise CheckpointError(f"{path} must contain a JSON object, found {type(value).__name__}")
    return value


def read_value(path: Path) -> object:
    """The JSON value in `path`; raises CheckpointError if the file cannot be read or is not JSON."""
    try:
        with path.open("rb") as file:
            content = file.read(MOST_JSON_BYTES + 1)
    except OSError as cause:
        raise CheckpointError(f"{path} cannot be read: {cause}", hint="check its permissions") from cause
    if len(content) > MOST_JSON_BYTES:
        raise CheckpointError(
            f"{path} has more than {MOST_JSON_BYTES >> 20} MiB, the most that a JSON file may have",
            hint="copy the checkpoint again",
        )
    try:
        return json_text.parse(content.decode("utf-8"))
    except ValueError as cause:
        raise CheckpointError(
            f"{path} is not valid JSON: {cause}", hint="copy the checkpoint again"
        ) from cause
