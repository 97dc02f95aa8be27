"""What is timed: how a subject is opened, and what it can do once it is open."""

import importlib
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from distilforge.timing.shape import Shape

Json = None | bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"]
"""A value that JSON can express."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One row of a comparison, which is not open yet."""

    name: str
    """Its name in tables and measurements."""
    opener: str
    """A function, `package.module:function`. It is called in the subject's own process and returns a `Runner`."""
    arguments: Mapping[str, Json] = field(default_factory=dict)
    """Keyword arguments of the opener."""


class Runner(ABC):
    """An open subject, inside its own process. Subclass it to time something new."""

    @abstractmethod
    def feed(self, shape: Shape) -> None:
        """Prepare inputs of `shape` for the next runs; raise any exception if the subject cannot take the shape."""

    @abstractmethod
    def run(self) -> None:
        """Answer the prepared inputs once."""

    def seconds(self, runs: int) -> tuple[float, ...]:
        """Run `runs` times without a pause, and return the seconds of each run.

        These are seconds of wall time. A subclass may measure in another way, such as on a device.
        """
        seconds = []
        for _ in range(runs):
            start = time.perf_counter()
            self.run()
            seconds.append(time.perf_counter() - start)
        return tuple(seconds)

    def facts(self) -> Mapping[str, Json]:
        """Other facts after the runs at a shape, by name, such as the answers or the memory in use."""
        return {}


def open_runner(opener: str, arguments: Mapping[str, Json]) -> Runner:
    """Call `opener` with `arguments` and return its runner; raises what the opener raises."""
    module, _, name = opener.partition(":")
    make: Callable[..., Runner] = getattr(importlib.import_module(module), name)
    return make(**arguments)
