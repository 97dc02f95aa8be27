"""JSON files of a checkpoint, which may be damaged or hostile. Does not need PyTorch."""

import json
import re
from collections.abc import Mapping
from pathlib import Path

from model_src import json_text
from model_src.errors import CheckpointError
from model_src.file_kind import check_is_not_a_stand_in

MOST_JSON_BYTES = 16 << 20
"""The largest JSON file that is read; the config.json of 100,000 labels has 8 MB."""
MOST_TOKENIZER_BYTES = 64 << 20
"""The largest tokenizer.json; that of a vocabulary of 250,000 entries has 17 MB."""

# UTF-8 cannot hold them
_HALVES = re.compile("[\ud800-\udfff]")


def read_json(path: Path, *, most_bytes: int = MOST_JSON_BYTES) -> Mapping[str, object]:
    """The JSON object in `path`; raises CheckpointError if the file contains anything else, or is larger."""
    value = read_value(path, most_bytes=most_bytes)
    if not isinstance(value, dict):
        raise CheckpointError(
            f"{path} must contain a JSON object, found {type(value).__name__}",
            hint="copy the checkpoint again",
        )
    return value


def read_value(path: Path, *, most_bytes: int = MOST_JSON_BYTES) -> object:
    """The JSON value in `path`; raises CheckpointError if the file cannot be read, is larger, or is not JSON."""
    check_is_not_a_stand_in(path)
    try:
        with path.open("rb") as file:
            content = file.read(most_bytes + 1)
    except OSError as cause:
        raise CheckpointError(f"{path} cannot be read: {cause}", hint="check its permissions") from cause
    if len(content) > most_bytes:
        raise CheckpointError(
            f"{path} has more than {most_bytes >> 20} MiB, the most that it may have",
            hint="copy the checkpoint again",
        )
    try:
        return json_text.parse(content.decode("utf-8"))
    except ValueError as cause:
        raise CheckpointError(
            f"{path} is not valid JSON: {cause}", hint="copy the checkpoint again"
        ) from cause


def write_json(path: Path, value: object, *, indent: int = 1) -> None:
    """Write `value` as JSON in UTF-8, in which only halves of surrogate pairs are escaped."""
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    escaped = _HALVES.sub(lambda half: f"\\u{ord(half[0]):04x}", text)
    path.write_text(escaped + "\n", encoding="utf-8")
