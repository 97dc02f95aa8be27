"""Evaluation and calibration data of every head, packed and not."""

import gzip
import json
from collections.abc import Sequence
from pathlib import Path

from tests.fuzz.mutations import damage, document
from tests.fuzz.mutations.choices import Choices
from tests.fuzz.target import Input, Reader, Target, Use
from tests.integration.conftest import LINES
from validation import data
from validation.errors import DataError

_LABELS = ("LABEL_0", "LABEL_1")
# A member of a gzip file that unpacks to 8 MiB of blank lines
_BOMB = gzip.compress(b"\n" * (8 << 20))


def _samples(folder: Path) -> Sequence[Input]:
    return tuple(
        Input(name=f"{head}.jsonl", content=f"{json.dumps(line)}\n{json.dumps(line)}\n".encode())
        for head, line in LINES.items()
    )


def _mutate(sample: Input, choices: Choices) -> bytes:
    if choices.once_in(30):
        return gzip.compress(sample.content) + _BOMB * choices.of([1, 20, 40, 800])
    lines: list[object] = [document.read_json(line) for line in sample.content.decode().splitlines()]
    content = damage.encoded(document.changed(lines, document.render_lines, choices), choices)
    return damage.sometimes_damaged(gzip.compress(content, 1), choices) if choices.once_in(4) else content


def _prepare(folder: Path, work: Path) -> Reader:
    def uses(value: Input) -> Sequence[Use]:
        path = work / value.name
        path.write_bytes(value.content)
        head = path.stem
        return (
            lambda: data.load(path, head, _LABELS),
            lambda: data.load(path, head, _LABELS, labelled=False),
        )

    return uses


TARGET = Target(errors=(DataError,), samples=_samples, mutate=_mutate, prepare=_prepare)
