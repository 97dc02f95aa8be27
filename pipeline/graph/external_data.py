"""Weights that an ONNX file keeps in other files: whether those are there, and complete.

Source: onnx/docs/ExternalData.md. A location is relative to the folder of the ONNX file.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import onnx_ir

from pipeline.errors import UsageError
from pipeline.graph import tensors

_INCOMPLETE = "copy it again: it is incomplete"
_OUTSIDE = "copy the model and its data into one folder, with `cp -rL`, which replaces links by files"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredWeight:
    """Where the bytes of one weight are."""

    name: str
    """The weight's name."""
    location: str
    """The file, relative to the folder of the ONNX file."""
    start: int
    """The first byte."""
    needed: int
    """How many bytes its shape and type need."""
    given: int | None
    """How many bytes it has by the ONNX file; None where that does not say it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataProblem:
    """Why a file of weights cannot be used."""

    weight: str
    """The first weight in the file."""
    text: str
    """The problem, with the name of the file."""
    advice: str
    """What to do about it."""


def check(model: onnx_ir.Model, path: Path) -> None:
    """Raise UsageError where a file of weights of `model`, which was read from `path`, cannot be read whole."""
    weights = tuple(
        _stored(tensor) for tensor in tensors.stored(model) if isinstance(tensor, onnx_ir.ExternalTensor)
    )
    for problem in problems(weights, path.parent):
        raise UsageError(f"{path} keeps weights in {problem.text}", hint=problem.advice)
    # onnx_ir does not read a file that could be any other one of this file system
    for location in dict.fromkeys(weight.location for weight in weights):
        file = path.parent / location
        if not file.resolve().is_relative_to(path.parent.resolve()):
            raise UsageError(
                f"{path} keeps weights in {location!r:.200}, which is a link to {file.resolve()}, outside its folder",
                hint=_OUTSIDE,
            )
        if (links := file.stat().st_nlink) > 1:
            raise UsageError(
                f"{path} keeps weights in {location!r:.200}, which has {links} hard links",
                hint="copy the model: a copy is a file of its own",
            )


def problems(weights: Iterable[StoredWeight], folder: Path) -> tuple[DataProblem, ...]:
    """The first problem with each of the files beside the ONNX file in `folder` that contain `weights`."""
    by_location: dict[str, list[StoredWeight]] = {}
    for weight in weights:
        by_location.setdefault(weight.location, []).append(weight)
    listed = []
    for location, weights_there in by_location.items():
        text, advice = _problem(folder, location, weights_there)
        if text:
            listed.append(
                DataProblem(weight=weights_there[0].name, text=f"{location!r:.200}, {text}", advice=advice)
            )
    return tuple(listed)


def _problem(folder: Path, location: str, weights: list[StoredWeight]) -> tuple[str, str]:
    """The problem with one file, as a clause, and what to do about it; two empty texts for a good one."""
    path = folder / location
    if not location or Path(location).is_absolute() or ".." in Path(location).parts:
        return "which lies outside the model's folder", _OUTSIDE
    if not path.is_file():
        return "which is not beside it", f"put it into {folder}: copy the model with all of its files"
    for weight in weights:
        if weight.given not in (None, 0, weight.needed):
            return (
                f"in which {weight.name!r:.200} has {weight.given} bytes from byte {weight.start} on; its shape and "
                f"type need {weight.needed}",
                "export the model again: the ONNX file contradicts itself",
            )
    size = path.stat().st_size
    end = max(weight.start + weight.needed for weight in weights)
    if size < end:
        return f"which has {size} bytes; the weights need {end}", _INCOMPLETE
    return "", ""


def _stored(tensor: onnx_ir.ExternalTensor) -> StoredWeight:
    return StoredWeight(
        name=str(tensor.name),
        location=str(tensor.location),
        start=tensor.offset or 0,
        needed=tensor.nbytes,
        given=tensor.length,
    )
