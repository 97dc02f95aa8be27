"""What is timed: how a subject is opened, and what it can do once it is open."""

import importlib
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from distilforge.timing.shape import Shape

Json = None | bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One row of a comparison, before it is opened."""

    name: str
    """What tables and measurements call it."""
    opener: str
    """`package.module:function`: called with `arguments` in the subject's own process, it returns a `Runner`."""
    arguments: Mapping[str, Json] = field(default_factory=dict)
    """Keyword arguments of the opener, as JSON can say them."""


class Runner(ABC):
    """An opened subject, inside its own process."""

    @abstractmethod
    def feed(self, shape: Shape) -> None:
        """Make inputs of `shape` ready; the next runs answer them. Raises where the subject cannot take the shape."""

    @abstractmethod
    def run(self) -> None:
        """Answer the inputs once."""

    def seconds(self, runs: int) -> tuple[float, ...]:
        """Seconds of each of `runs` runs, one right after the other; wall time, unless a subclass knows better."""
        taken = []
        for _ in range(runs):
            start = time.perf_counter()
            self.run()
            taken.append(time.perf_counter() - start)
        return tuple(taken)

    def facts(self) -> Mapping[str, Json]:
        """What else is worth knowing after the runs at a shape, such as the answers or the memory that is held."""
        return {}


def open_runner(opener: str, arguments: Mapping[str, Json]) -> Runner:
    """The runner that `opener` makes; raises what the opener raises."""
    module, _, name = opener.partition(":")
    make: Callable[..., Runner] = getattr(importlib.import_module(module), name)
    return make(**arguments)
