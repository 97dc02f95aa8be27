"""Subjects for tests of the timing engine, opened in its worker processes: they sleep, refuse or die."""

import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from distilforge.manifest import Measurement, Steadiness
from distilforge.timing.shape import Shape
from distilforge.timing.subject import Json, Runner, Subject

OPENER = "tests.timing_subjects:open_sleeper"
REFUSED, DEADLY = 13, 99
"""Numbers of tokens: at one a sleeper refuses, at the other its process ends."""


class Sleeper(Runner):
    """Sleeps, writes its name and shape to a file at every run, and counts its runs."""

    def __init__(self, name: str, seconds: float, log: Path) -> None:
        self._name, self._seconds, self._log = name, seconds, log
        self._runs = 0
        self._shape = Shape(batch=1, tokens=1)

    def feed(self, shape: Shape) -> None:
        if shape.tokens == REFUSED:
            raise ValueError(f"{shape.tokens} tokens bring bad luck")
        self._shape = shape

    def run(self) -> None:
        if self._shape.tokens == DEADLY:
            sys.stderr.write("a last word\n")
            sys.stderr.flush()
            os._exit(3)
        time.sleep(self._seconds)
        self._runs += 1
        with self._log.open("a", encoding="utf-8") as log:
            log.write(f"{self._name} {self._shape}\n")

    def facts(self) -> Mapping[str, Json]:
        return {"runs": self._runs}


def open_sleeper(name: str, seconds: float, log: str) -> Sleeper:
    """The opener of a sleeper. What it prints must not reach the replies."""
    sys.stdout.write("a library says hello\n")
    return Sleeper(name, seconds, Path(log))


def sleeper(name: str, seconds: float, log: Path) -> Subject:
    """A subject that sleeps for `seconds` in every run."""
    return Subject(name=name, opener=OPENER, arguments={"name": name, "seconds": seconds, "log": str(log)})


def measurement(subject: str, shape: Shape, rounds: tuple[tuple[float, ...], ...]) -> Measurement:
    """A made-up measurement with these seconds in each round."""
    return Measurement(
        subject=subject,
        batch=shape.batch,
        tokens=shape.tokens,
        seconds=tuple(seconds for runs in rounds for seconds in runs),
        runs=tuple(map(len, rounds)),
    )


def steady(rounds: int, *, apart: tuple[int, ...] = ()) -> Steadiness:
    """The steadiness of a timing on a quiet machine."""
    return Steadiness(steady=True, reasons=(), rounds=rounds, apart=apart)
