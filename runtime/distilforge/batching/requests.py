"""One batch of a caller, which may run together with those of others."""

from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field

from distilforge.engine import Array
from distilforge.manifest import Manifest

BATCH = "batch"
SEQUENCE = "sequence"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Request:
    """The feeds of one caller, and a place for the outputs."""

    feeds: Mapping[str, Array]
    """The arrays by input name, which were checked."""
    rows: int
    """The size of the batch axis."""
    length: int
    """The size of the sequence axis."""
    other_sizes: tuple[int, ...]
    """The sizes of the other axes, such as the number of choices; requests that run together agree in them."""
    arrival: float
    """When it came, by time.monotonic, in seconds."""
    outputs: Future[dict[str, Array]] = field(default_factory=Future)
    """The outputs for these rows alone; cancelled when nobody waits for them any more."""

    @property
    def sequences(self) -> int:
        """How many sequences of `length` tokens it has: more than `rows` for multiple choice."""
        sequences = self.rows
        for size in self.other_sizes:
            sequences *= size
        return sequences


def request_of(feeds: Mapping[str, Array], manifest: Manifest, arrival: float) -> Request:
    """The request for `feeds`, which fit the manifest's first input."""
    first = manifest.inputs[0]
    sizes = dict(zip(first.shape, feeds[first.name].shape, strict=True))
    return Request(
        feeds=feeds,
        rows=sizes.pop(BATCH),
        length=sizes.pop(SEQUENCE),
        other_sizes=tuple(sizes.values()),
        arrival=arrival,
    )
