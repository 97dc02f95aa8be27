"""Sessions whose engine can be held, counted and made to fail, for tests of `session.batched`."""

from collections.abc import Mapping
from dataclasses import replace
from threading import Event, Lock

import distilforge
import numpy as np
from distilforge.engine import Array, Engine
from distilforge.errors import EngineError
from distilforge.manifest import Tensor
from distilforge.session import Session

from tests.runtime_release import LABELS, published

SECONDS = 30.0
"""How long a test waits for another thread at most; nothing takes that long."""


class WatchedEngine:
    """Runs the real engine, once `gate` is set, and notes the shape of every run."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = Lock()
        self.gate = Event()
        self.gate.set()
        self.entered = Event()
        """Set when a run has begun."""
        self.shapes: list[tuple[int, ...]] = []
        self.failing_id: int | None = None
        """Runs that hold this token id fail."""

    @property
    def providers(self) -> tuple[str, ...]:
        return self._engine.providers

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        return self._engine.inputs

    @property
    def outputs(self) -> tuple[Tensor, ...]:
        return self._engine.outputs

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        self.entered.set()
        assert self.gate.wait(SECONDS)
        with self._lock:
            self.shapes.append(feeds["input_ids"].shape)
        if self.failing_id is not None and np.any(feeds["input_ids"] == self.failing_id):
            raise EngineError("the engine does not like this token")
        return self._engine.run(feeds)


def open_session(head: str) -> Session:
    """The session of the head's random release, with one thread."""
    return distilforge.open(published(head, LABELS.get(head, ())).release, threads=1)


def watch(session: Session) -> tuple[Session, WatchedEngine]:
    """The same session over a watched engine."""
    engine = WatchedEngine(session._loaded.engine)
    return type(session)(replace(session._loaded, engine=engine)), engine
