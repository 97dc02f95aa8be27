"""What a run has finished, in a folder beside the output, so that the next run continues from there.

The folder is `OUTPUT.run`:

- job.json says which answers are in it; it is written first.
- part-N.arrow has the rows from N on, and part-N.json says how many, with size and SHA-256. It is written after the
  part, so a part counts only once it is whole, on file systems too where a file appears before it is complete and a
  rename is a copy.
- finished.json says what the output is, with size, time and SHA-256. It is written after the output, and then the parts
  are removed.

A file that was cut short is not JSON, or its part has another size: it counts as absent.
"""

import hashlib
import json
import re
from dataclasses import asdict, dataclass
from typing import TypeVar

import pyarrow

from distilforge import json_text
from distilforge.bulk.job import Job
from distilforge.bulk.rows import Answers
from distilforge.errors import InputError
from distilforge.reader import Reader
from distilforge.storage import Place

MOST_NOTE_BYTES = 16 << 20
"""The largest job.json, and the largest note about a part or an output."""
MOST_PART_BYTES = 1 << 31
"""The largest part. A run begins another one after 64 MiB, and what one batch answers is far smaller than this."""

T = TypeVar("T")
_JOB = "job.json"
_FINISHED = "finished.json"
_PART = "part-"
_OUTPUT = "output"
# Nothing else in the folder is removed: it may be anybody's
_OWN_NAMES = re.compile(rf"{_JOB}|{_FINISHED}|{_OUTPUT}|{_PART}[0-9]{{12,}}\.(arrow|json)")
_AGAIN = "pass --force to begin again"
_READER = Reader(InputError, unknown="ignore", hint=_AGAIN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A finished part."""

    first: int
    """The index of its first row in the input."""
    rows: int
    """How many rows it has."""
    errors: int
    """How many of them are error rows."""
    bytes: int
    """The size of its file."""
    sha256: str
    """The SHA-256 of its file, in hexadecimal digits."""

    @property
    def end(self) -> int:
        """The index after its last row."""
        return self.first + self.rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish:
    """A finished output."""

    rows: int
    """How many rows it has."""
    errors: int
    """How many of them are error rows."""
    bytes: int
    """The size of the output."""
    sha256: str
    """The SHA-256 of the output, in hexadecimal digits."""
    modified: str
    """When the output was changed, or a tag of its content; empty if the file system says neither."""


class Journal:
    """The folder of a run."""

    def __init__(self, output: Place) -> None:
        """Raises InputError if the folder is a link, behind which files could be anybody's."""
        self._folder = output.beside(".run")
        self.url = self._folder.url
        """The folder's URL."""
        if self._folder.is_link():
            raise InputError(
                f"{self.url!r:.200} is a link; it must be a folder for the answers that are finished",
                hint="remove it, or pass another output",
            )

    def job(self) -> Job | None:
        """The job of the last run; None if there was none, or if it did not get to write it."""
        return self._read(Job, _JOB)

    def finish(self) -> Finish | None:
        """The finished output; None if no run has finished."""
        return self._read(Finish, _FINISHED)

    def parts(self) -> tuple[Part, ...]:
        """The finished parts that follow each other from the first row on."""
        parts: list[Part] = []
        names = set(self._folder.names())
        end = 0
        while f"{_name(end)}.json" in names:
            part = self._read(Part, f"{_name(end)}.json")
            if part is None or part.first != end or part.rows < 1:
                break
            if self._folder.inside(f"{_name(end)}.arrow").size_bytes() != part.bytes:
                break
            parts.append(part)
            end = part.end
        return tuple(parts)

    def start(self, job: Job) -> None:
        """Forget everything, and begin `job`."""
        # The job goes first: without it, what is left means nothing
        for name in (_JOB, *self._own_names()):
            self._folder.inside(name).remove()
        self._write(_JOB, job)

    def save(self, answers: list[Answers]) -> Part:
        """Write `answers`, which follow each other, as the next part."""
        first = answers[0].first
        content = _joined(answers)
        receipt = self._folder.inside(f"{_name(first)}.json")
        # Of an earlier run, whose part had another length
        receipt.remove()
        self._folder.inside(f"{_name(first)}.arrow").write(content)
        part = Part(
            first=first,
            rows=sum(entry.rows for entry in answers),
            errors=sum(entry.errors for entry in answers),
            bytes=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
        )
        self._write(f"{_name(first)}.json", part)
        return part

    def batches(self, part: Part, kind: pyarrow.Schema) -> tuple[pyarrow.RecordBatch, ...]:
        """The record batches of a finished part, of the schema `kind`; InputError if a run would not write its file."""
        place = self._folder.inside(f"{_name(part.first)}.arrow")
        if part.bytes > MOST_PART_BYTES:
            raise InputError(
                f"{place.url!r:.200} is not what a run writes: it has {part.bytes:,} bytes; at most "
                f"{MOST_PART_BYTES:,} are read",
                hint=_AGAIN,
            )
        content = place.read_at_most(part.bytes)
        if content is None or hashlib.sha256(content).hexdigest() != part.sha256:
            raise InputError(
                f"{place.url!r} is not what the run wrote: its SHA-256 must be {part.sha256}", hint=_AGAIN
            )
        try:
            with pyarrow.ipc.open_stream(content) as reader:
                batches = tuple(reader)
            for batch in batches:
                # Whoever wrote the part wrote its SHA-256 too, and Arrow reads what offsets point at
                batch.validate(full=True)
        except (pyarrow.ArrowException, OSError) as cause:
            raise InputError(f"{place.url!r} is not what a run writes: {cause}", hint=_AGAIN) from cause
        rows = sum(batch.num_rows for batch in batches)
        if rows != part.rows or any(batch.schema != kind for batch in batches):
            raise InputError(
                f"{place.url!r} is not what this run writes: it must have {part.rows:,} rows with the columns "
                f"{', '.join(kind.names)}, found {rows:,} rows"
                + "".join(f" with {', '.join(batch.schema.names)!s:.200}" for batch in batches[:1]),
                hint=_AGAIN,
            )
        return batches

    def temporary(self) -> Place:
        """A file for the output while it is written."""
        return self._folder.inside(_OUTPUT)

    def end(self, finish: Finish) -> None:
        """Note that the output is finished, and remove the parts."""
        self._write(_FINISHED, finish)
        self.tidy()

    def tidy(self) -> None:
        """Remove what a finished run does not need any more."""
        for name in self._own_names():
            if name not in (_JOB, _FINISHED):
                self._folder.inside(name).remove()

    def _own_names(self) -> tuple[str, ...]:
        return tuple(name for name in self._folder.names() if _OWN_NAMES.fullmatch(name))

    def _read(self, kind: type[T], name: str) -> T | None:
        place = self._folder.inside(name)
        # Of a folder, a pipe or a device, there is no size
        if place.size_bytes() is None or (content := place.read_at_most(MOST_NOTE_BYTES)) is None:
            return None
        if len(content) > MOST_NOTE_BYTES:
            raise InputError(
                f"{place.url!r:.200} is not what a run writes: it has more than {MOST_NOTE_BYTES:,} bytes, the limit",
                hint=_AGAIN,
            )
        try:
            value = json_text.parse(content.decode())
        except ValueError:  # cut short
            return None
        return _READER.read(kind, value, place.url)

    def _write(self, name: str, value: Job | Part | Finish) -> None:
        # Names of files may have halves of surrogate pairs, which JSON's escapes can hold and UTF-8 cannot
        self._folder.inside(name).write(json.dumps(asdict(value), indent=1).encode())


def _name(first: int) -> str:
    return f"{_PART}{first:012d}"


def _joined(answers: list[Answers]) -> bytes:
    """One Arrow IPC stream with the record batches of all."""
    sink = pyarrow.BufferOutputStream()
    with (
        pyarrow.ipc.open_stream(answers[0].table) as head,
        pyarrow.ipc.new_stream(sink, head.schema) as writer,
    ):
        for entry in answers:
            with pyarrow.ipc.open_stream(entry.table) as reader:
                for batch in reader:
                    writer.write_batch(batch)
    content: bytes = sink.getvalue().to_pybytes()
    return content
