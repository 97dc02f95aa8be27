"""A target with faults of every kind, which the fuzzer must find."""

import json
import os
from collections.abc import Sequence
from pathlib import Path

from tests.fuzz.mutations import document
from tests.fuzz.target import Input, Reader, Target, Use

SAMPLE = Input(
    name="planted.json", content=b'{"size": 1, "name": "a", "parts": [{"kind": "x"}, {"kind": "y"}]}'
)
_kept: list[bytearray] = []


class RefusalError(Exception):
    """What may leave the planted target."""


class PanicError(BaseException):
    """As pyo3's PanicException, it passes `except Exception`."""


def _prepare(samples: Path, work: Path) -> Reader:
    def uses(value: Input) -> Sequence[Use]:
        return (lambda: _use(value.content),)

    return uses


def _use(content: bytes) -> None:
    try:
        values = json.loads(content)
    except (ValueError, RecursionError) as cause:
        raise RefusalError from cause
    if not isinstance(values, dict):
        raise RefusalError
    match values.get("name"):
        case "abort":
            os.abort()
        case "exit":
            os._exit(0)
        case "panic":
            raise PanicError("a panic")
        case "memory":
            # Zeroes are written, so that every page is taken, and nothing else is done that takes time
            _kept.append(bytearray(1_100 << 20))
        case "hang":
            while True:
                pass
    # The planted fault that the search has to find
    for part in values.get("parts") or ():
        part["kind"]


TARGET = Target(
    errors=(RefusalError,),
    samples=lambda samples: (SAMPLE,),
    mutate=lambda sample, choices: document.changed_json(sample.content, choices),
    prepare=_prepare,
)
