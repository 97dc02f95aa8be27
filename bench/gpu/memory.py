"""The device memory that a subject takes while nothing else uses the device."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from distilforge.timing.process import Worker
from distilforge.timing.shape import Shape
from distilforge.timing.subject import Json, Subject


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """The memory of a subject at one shape."""

    device: int
    """Bytes of the device that were taken since the subject began to open."""
    allocated: int | None
    """Bytes in tensors at their peak, as PyTorch counts them; None if the subject does not use PyTorch."""


def measure_alone(subject: Subject, shapes: Sequence[Shape]) -> Mapping[Shape, Memory]:
    """The memory at each of `shapes` that the subject takes, in that order.

    Raises TimingError if the subject does not open.
    """
    memory: dict[Shape, Memory] = {}
    with Worker(subject) as worker:
        for shape in shapes:
            reply = worker.run(shape, settle=True, warm_ups=0, runs=1)
            if not reply.refusal:
                device = _bytes(reply.facts["device_bytes"])
                assert device is not None
                memory[shape] = Memory(device=device, allocated=_bytes(reply.facts["allocated_bytes"]))
    return memory


def _bytes(fact: Json) -> int | None:
    assert fact is None or isinstance(fact, int)
    return fact
