"""Inputs with the answers that the runtime gives, which every package carries for its self-test."""

import ast
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, is_dataclass
from pathlib import Path

import distilforge
import numpy as np
from distilforge.engine import Array
from distilforge.errors import UnavailableError
from distilforge.session import Session

from pipeline.packages.base import PackageRequest

EXAMPLES = "examples.json"
"""The file's name in a package."""
_MOST_VALUES = 4096
_FP32_TOLERANCE = 1e-3
"""float32 kernels that add in another order differ by about 3e-5; a wrong mask or weight changes outputs by more."""
_REDUCED_TOLERANCE = 0.3
"""Of the outputs' spread: kernels of another engine may round to the next step of 8 bits; a wrong mask gives 0.5."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExampleOutput:
    """One output of the graph."""

    shape: tuple[int, ...]
    """Its shape."""
    stride: int
    """How many values apart the kept values are, in the flattened output."""
    values: tuple[float, ...]
    """The kept values, at most 4,096."""
    tolerance: float
    """How much a value may differ in another client."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One input of the head, and its answer."""

    input: object
    """What the head's session takes: a text, a pair, or a context with options."""
    feeds: Mapping[str, object]
    """The token ids and the mask by input name, as nested lists with a batch of one."""
    outputs: Mapping[str, ExampleOutput]
    """The graph's outputs by name."""
    answer: object
    """What the session answers, made of JSON types."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Examples:
    """All examples of a package."""

    variant: str
    """The variant that gave the answers: the package's, or another one if that cannot run on the building machine."""
    examples: tuple[Example, ...]
    """A short input and a longer one."""


def make(request: PackageRequest) -> Examples:
    """Examples for a package; raises what `distilforge.open` raises if no variant can run on this machine."""
    try:
        session = distilforge.open(request.release, variant=request.variant.name)
    except UnavailableError:
        session = distilforge.open(request.release)
    (short,) = ast.literal_eval(session.example_inputs)
    return Examples(
        variant=session.variant.name,
        examples=tuple(_example(session, value) for value in (short, _longer(short))),
    )


def write(examples: Examples, folder: Path) -> None:
    """Write `examples` as JSON into `folder`."""
    (folder / EXAMPLES).write_text(
        json.dumps(asdict(examples), ensure_ascii=False, indent=1) + "\n", encoding="utf-8"
    )


def _longer(value: object) -> object:
    """The input with a word more in each of its texts, so that a client must take more than one length."""
    if isinstance(value, str):
        return f"{value} A."
    if isinstance(value, tuple):
        return tuple(_longer(part) for part in value)
    assert isinstance(value, list)
    return [_longer(part) for part in value]


def _example(session: Session, value: object) -> Example:
    feeds = _feeds(session, value)
    outputs = session.run(feeds)
    assert callable(session)
    (answer,) = session([value])
    precision = session.variant.precision
    return Example(
        input=value,
        feeds={name: array.tolist() for name, array in feeds.items()},
        outputs={name: _output(array, precision) for name, array in outputs.items()},
        answer=_plain(answer),
    )


def _feeds(session: Session, value: object) -> dict[str, Array]:
    """The graph's inputs for one input of the head."""
    if isinstance(value, tuple) and isinstance(value[1], list):
        context, options = value
        feeds = session.encode([(context, option) for option in options])
        return {name: array[np.newaxis] for name, array in feeds.items()}
    assert isinstance(value, (str, tuple))
    return session.encode([value])


def _output(array: Array, precision: str) -> ExampleOutput:
    flat = array.astype(np.float64).reshape(-1)
    stride = -(-flat.size // _MOST_VALUES)
    spread = float(np.ptp(flat)) if flat.size else 0.0
    return ExampleOutput(
        shape=array.shape,
        stride=stride,
        # 7 digits are all that float32 has
        values=tuple(float(f"{value:.7g}") for value in flat[::stride]),
        tolerance=_FP32_TOLERANCE if precision == "fp32" else _REDUCED_TOLERANCE * spread,
    )


def _plain(answer: object) -> object:
    """`answer` made of JSON types."""
    if isinstance(answer, np.ndarray):
        return answer.tolist()
    if isinstance(answer, (list, tuple)):
        return [_plain(part) for part in answer]
    if is_dataclass(answer) and not isinstance(answer, type):
        return {name: _plain(value) for name, value in asdict(answer).items()}
    if isinstance(answer, dict):
        return {name: _plain(value) for name, value in answer.items()}
    return answer.item() if isinstance(answer, np.generic) else answer
