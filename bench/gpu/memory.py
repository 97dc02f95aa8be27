"""The device memory of one column, with the device to itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from distilforge.timing.process import Worker
from distilforge.timing.shape import Shape
from distilforge.timing.subject import Json, Subject


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Bytes at one shape."""

    device: int
    """Of the device, since before the column was opened."""
    allocated: int | None
    """Of tensors, as torch counts them; None for columns that are not torch's."""


def alone(subject: Subject, shapes: Sequence[Shape]) -> Mapping[Shape, Memory]:
    """The memory at each of `shapes` that the column takes, in their order; TimingError where it does not open."""
    held: dict[Shape, Memory] = {}
    with Worker(subject) as worker:
        for shape in shapes:
            reply = worker.run(shape, settle=True, warm_ups=0, runs=1)
            if not reply.refusal:
                device = _bytes(reply.facts["device_bytes"])
                assert device is not None
                held[shape] = Memory(device=device, allocated=_bytes(reply.facts["allocated_bytes"]))
    return held


def _bytes(fact: Json) -> int | None:
    assert fact is None or isinstance(fact, int)
    return fact
