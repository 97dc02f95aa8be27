"""Looks for inputs of one target that lead to a finding, and shrinks them."""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

import hypothesis
from hypothesis import HealthCheck, Phase
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from tests.fuzz.mutations import choices
from tests.fuzz.mutations.choices import Choices
from tests.fuzz.process import Outcome, ReaderProcess
from tests.fuzz.target import Input, Target

_INPUTS_AT_ONCE = 200
_MOST_SHRINKING_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """An input that leads to what must not happen."""

    target: str
    """The target's name."""
    input: Input
    """The input, as small as it was made."""
    outcome: Outcome
    """What it leads to."""


@dataclass(slots=True, kw_only=True)
class Tally:
    """What became of the inputs of one target."""

    inputs: int = 0
    """How many were read."""
    accepted: int = 0
    """How many were accepted."""
    refusals: Counter[str] = field(default_factory=Counter)
    """How many were refused with each class of errors."""
    findings: list[Finding] = field(default_factory=list)
    """One for each kind of finding."""

    def __str__(self) -> str:
        refusals = ", ".join(f"{count:,} {name}" for name, count in self.refusals.most_common())
        findings = f"{len(self.findings)} finding{'' if len(self.findings) == 1 else 's'}"
        return f"{self.inputs:,} inputs, {self.accepted:,} accepted, {refusals or '0 refused'}, {findings}"


class _FindingError(Exception):
    """Tells Hypothesis that an input led to a finding."""


class Search:
    """The search for findings of one target."""

    def __init__(self, name: str, module: str, samples: Path) -> None:
        """`module` has the `TARGET` that findings call `name`."""
        self.tally = Tally()
        self._name = name
        self._module = module
        self._samples = samples
        target = import_module(module).TARGET
        assert isinstance(target, Target)
        self._inputs = _inputs(target, samples)

    def run(self, seconds: float, seed: int) -> Tally:
        """Read inputs for so many `seconds`; the same seed gives the same inputs."""
        with ReaderProcess(self._module, self._samples) as process:
            process.start()
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                hunt = _Hunt(process, self.tally, end)
                hunt.run(self._inputs, seed)
                if hunt.smallest is not None:
                    value, outcome = hunt.smallest
                    self.tally.findings.append(Finding(target=self._name, input=value, outcome=outcome))
                seed += 1
        return self.tally


def _inputs(target: Target, samples: Path) -> SearchStrategy[Input]:
    def mutated(sample: Input, content: bytes) -> Input:
        return Input(name=sample.name, content=target.mutate(sample, Choices(content)))

    return st.builds(
        mutated,
        st.sampled_from(target.samples(samples)),
        st.binary(min_size=choices.BYTES, max_size=choices.BYTES),
    )


class _Hunt:
    """Inputs from one seed, up to the first new finding, which is then shrunk."""

    def __init__(self, process: ReaderProcess, tally: Tally, end: float) -> None:
        self.smallest: tuple[Input, Outcome] | None = None
        self._process = process
        self._tally = tally
        self._known = {finding.outcome.finding for finding in tally.findings}
        self._end = end
        self._failing: set[Input] = set()

    def run(self, inputs: SearchStrategy[Input], seed: int) -> None:
        read: Callable[[], None] = hypothesis.given(inputs)(self._read)
        settings = hypothesis.settings(
            max_examples=_INPUTS_AT_ONCE,
            database=None,
            deadline=None,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
            print_blob=False,
        )
        try:
            hypothesis.seed(seed)(settings(read))()
        # Flaky: what ended a process once need not do so again
        except (_FindingError, hypothesis.errors.Flaky, BaseExceptionGroup):
            assert self.smallest is not None

    def _read(self, value: Input) -> None:
        if value in self._failing:
            raise _FindingError
        if time.monotonic() > self._end:
            return
        outcome = self._process.read(value)
        self._tally.inputs += 1
        self._tally.accepted += not (outcome.error or outcome.finding)
        if outcome.error:
            self._tally.refusals[outcome.error] += 1
        if not outcome.finding or outcome.finding in self._known:
            return
        if self.smallest is None:
            self._end = time.monotonic() + _MOST_SHRINKING_SECONDS
        elif outcome.finding != self.smallest[1].finding:
            return
        self._failing.add(value)
        if self.smallest is None or len(value.content) <= len(self.smallest[0].content):
            self.smallest = value, outcome
        raise _FindingError
