"""Evaluation and calibration data: JSONL with one example on each line (schemas in validation/README.md)."""

import difflib
import gzip
import io
import json
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from distilforge import json_text

from validation import tasks
from validation.errors import DataError
from validation.tasks.base import Example, Task
from validation.tasks.record import SCHEMAS, Record

FEWEST_EXAMPLES = 2
"""A single example has no interval."""
MOST_BYTES = 256 << 20
"""The most bytes of a file of data, after unpacking."""
MOST_LINE_BYTES = 4 << 20
"""The most bytes of a line."""
MOST_EXAMPLES = 1_000_000
"""The most examples of a file."""
MOST_LINES = 2 * MOST_EXAMPLES
"""The most lines of a file, blank ones included: a small gzip file can hold a billion blank lines."""
DEMO = Path(__file__).parent / "data"

_UNPACK = "unpack it, and give the .jsonl file in it"
_FORMATS = {
    b"PAR1": (
        "a Parquet file",
        "write it as JSON Lines: pandas.read_parquet(path).to_json('data.jsonl', orient='records', lines=True)",
    ),
    b"PK\x03\x04": ("a zip archive", _UNPACK),
    b"\x28\xb5\x2f\xfd": ("packed with zstd", f"{_UNPACK}: zstd -d FILE"),
    b"\xfd7zXZ\0": ("packed with xz", f"{_UNPACK}: xz -d FILE"),
    b"BZh": ("packed with bzip2", f"{_UNPACK}: bzip2 -d FILE"),
}

Purpose = Literal["evaluation", "calibration"]


def load(
    path: Path, head: str, labels: tuple[str, ...], *, problem_type: str | None = None, labelled: bool = True
) -> tuple[Example, ...]:
    """The examples of `head` in a .jsonl or .jsonl.gz file, in the file's order; blank lines are skipped.

    `labels` and `problem_type` are the model's. With `labelled` False only texts are read: labels may be absent. Raises
    DataError, with file, line, field, value and what was expected, for a file that is absent, empty or not JSONL, for
    data of another head, and for labels that the model does not have.
    """
    return read(path, tasks.find(head)(labels=labels, problem_type=problem_type, labelled=labelled), head)


def check_enough(path: Path, examples: Sequence[Example], *, repeated: int = 0) -> None:
    """Raise DataError if `path` holds so few different `examples` that a metric over them has no interval.

    `repeated` is how many examples were left out because the model reads the same in one of these.
    """
    if len(examples) < FEWEST_EXAMPLES:
        found = f"{len(examples)} example"
        if repeated:
            found = f"{len(examples) + repeated:,} examples, but only 1 different one: the model reads the same in all"
        raise DataError(
            f"{path} holds {found}; an interval needs at least {FEWEST_EXAMPLES} that differ",
            hint="give at least 300: fewer cannot show that the loss is within the usual margin of one point",
        )


def read(path: Path, task: Task[Example], head: str) -> tuple[Example, ...]:
    """The examples of `task`, which is that of `head`, in a file; raises DataError as `load` does."""
    examples: list[Example] = []
    for record in _records(path):
        _check_head(record, head, labelled=task.labelled)
        if len(examples) == MOST_EXAMPLES:
            raise record.error(
                f"is one example more than the {MOST_EXAMPLES} that a file may have",
                hint="give a sample of it",
            )
        examples.append(task.parse(record))
    if not examples:
        raise DataError(f"{path} is empty: it does not hold any example", hint=SCHEMAS)
    return tuple(examples)


def demo_texts(head: str, purpose: Purpose) -> Path | None:
    """The file of texts that this package holds for `head`; None where there is none."""
    path = DEMO / head / f"{purpose}.jsonl.gz"
    return path if path.is_file() else None


def _records(path: Path) -> Iterator[Record]:
    """The JSON objects in the file, one for each line that is not blank."""
    seen = False
    for line, text in enumerate(_lines(path), start=1):
        if not text.strip():
            continue
        try:
            value = json_text.parse(text)
        except json.JSONDecodeError as cause:
            raise DataError(
                f"{path}:{line}: not JSON: {cause.msg} at character {cause.pos + 1} of {text!r:.80}",
                hint=SCHEMAS if seen else _hint_for(text, cause),
            ) from cause
        except ValueError as cause:
            raise DataError(f"{path}:{line}: not JSON that can be read: {cause}", hint=SCHEMAS) from cause
        if not isinstance(value, dict):
            raise DataError(
                f"{path}:{line}: must be a JSON object, found {value!r:.80}",
                hint=SCHEMAS if seen else _hint_for(text),
            )
        seen = True
        if "\\u" in text and not _is_unicode(value):
            raise DataError(
                f"{path}:{line}: not Unicode: it escapes half of a character, as \\ud800 does",
                hint="remove it, or write the whole character",
            )
        yield Record(value, path, line)


def _hint_for(text: str, cause: json.JSONDecodeError | None = None) -> str:
    """What to do with a file whose first line, `text`, is not one JSON object; `cause` says why it is not JSON."""
    start = text.strip()[:1]
    if start == "[":
        return f"if the file is a JSON array: jq -c '.[]' data.json > data.jsonl writes JSON Lines; {SCHEMAS}"
    if start == "{" and cause and cause.pos < len(text.rstrip()) and cause.msg != "Extra data":
        # jq could not read it either
        return f"write it with a JSON library, such as Python's json.dumps(example); {SCHEMAS}"
    if start == "{":
        return (
            "if an object has several lines, or a line several objects: jq -c . data.json > data.jsonl writes JSON "
            f"Lines; {SCHEMAS}"
        )
    return (
        "data must be JSON Lines, one JSON object on each line; if it is CSV: "
        f"pandas.read_csv(path).to_json('data.jsonl', orient='records', lines=True); {SCHEMAS}"
    )


def _check_is_text(content: bytes, path: Path) -> None:
    """Raise DataError for the formats in which data often come, and which are not lines of text."""
    for magic, (kind, hint) in _FORMATS.items():
        if content.startswith(magic):
            raise DataError(
                f"{path} is {kind}; data must be JSON Lines, one JSON object on each line, and may be packed with gzip",
                hint=hint,
            )


def _is_unicode(value: object) -> bool:
    """Whether all texts in a JSON value are Unicode, which JSON's escapes need not be."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _lines(path: Path) -> Iterator[str]:
    """The lines of a file, unpacked if it is gzip."""
    try:
        content = _content(path)
    except FileNotFoundError as cause:
        raise DataError(
            f"{path} does not exist", hint="give the path of a .jsonl or .jsonl.gz file"
        ) from cause
    except (EOFError, zlib.error, gzip.BadGzipFile) as cause:
        raise DataError(f"{path} is damaged gzip: {cause}", hint="compress or copy it again") from cause
    except OSError as cause:
        raise DataError(
            f"{path} cannot be read: {cause.strerror or cause}", hint="give a readable file"
        ) from cause
    if len(content) > MOST_BYTES:
        raise DataError(
            f"{path} holds more than {MOST_BYTES >> 20} MiB of text, the most that is read",
            hint="give a sample of it: the confidence intervals are narrow from a few thousand examples on",
        )
    _check_is_text(content, path)
    # A list of all lines would take many times the memory of short lines
    line, start = 0, 0
    while start <= len(content):
        line += 1
        if line > MOST_LINES:
            raise DataError(
                f"{path} has more than {MOST_LINES} lines, the most that are read",
                hint="remove blank lines, or give a sample of it",
            )
        newline = content.find(b"\n", start)
        end = len(content) if newline < 0 else newline
        if end - start > MOST_LINE_BYTES:
            raise DataError(
                f"{path}:{line}: has {end - start} bytes; a line may have at most {MOST_LINE_BYTES}",
                hint="shorten its texts, and write one example on each line",
            )
        yield _decoded(content[start:end], path, line)
        start = end + 1


def _decoded(content: bytes, path: Path, line: int) -> str:
    """The text of one line of a file."""
    try:
        return content.decode("utf-8-sig" if line == 1 else "utf-8")
    except UnicodeDecodeError as cause:
        byte = content[cause.start : cause.start + 1]
        raise DataError(
            f"{path}:{line}: not UTF-8: found the byte {byte!r}", hint="save it as UTF-8"
        ) from cause


def _content(path: Path) -> bytes:
    """The bytes of a file, unpacked if it is gzip: all, or one more than MOST_BYTES."""
    content = io.BytesIO()
    with path.open("rb") as file:
        packed = file.peek(2).startswith(b"\x1f\x8b")
        with gzip.GzipFile(fileobj=file) if packed else file as unpacked:
            while len(part := unpacked.read(1 << 20)) and content.tell() <= MOST_BYTES:
                content.write(part)
    return content.getvalue()


def _check_head(record: Record, head: str, *, labelled: bool) -> None:
    """Raise DataError if a record has the fields of another head, or a misspelt field of this head.

    Without `labelled`, the fields that say what is right may be absent.
    """
    task, fields = tasks.find(head), set(record.fields)
    needed = task.required if labelled or task.required <= fields else task.required - task.truths
    # Of another head it must have a field that this one does not have: a lack of labels alone is no other head
    others = {
        name: other.required
        for name, other in ((name, tasks.find(name)) for name in tasks.names())
        if other.required <= fields
        and not fields & (other.required | other.optional) <= task.required | task.optional
    }
    if not needed <= fields or any(required > needed for required in others.values()):
        if others:
            other = max(others, key=lambda name: len(others[name]))
            raise record.error(
                f"looks like data of the head {other!r}, with the fields {', '.join(map(repr, record.fields))}; "
                f"the model's head is {head!r}",
                hint=f"give data with {_described(head)}",
            )
        missing = sorted(needed - fields)
        raise record.error(
            f"lacks the field {missing[0]!r}; it has {', '.join(map(repr, record.fields)) or 'none'}",
            hint=f"the head {head!r} needs {_described(head)}",
        )
    absent = (task.required | task.optional) - fields
    for field in fields - task.required - task.optional:
        if near := difflib.get_close_matches(field, absent, n=1, cutoff=0.8):
            raise record.error(f"has the unknown field {field!r}", hint=f"did you mean {near[0]!r}?")


def _described(head: str) -> str:
    """The fields of `head`, in words."""
    task = tasks.find(head)
    optional = f" and the optional {', '.join(map(repr, sorted(task.optional)))}" if task.optional else ""
    return f"the fields {', '.join(map(repr, sorted(task.required)))}{optional}"
