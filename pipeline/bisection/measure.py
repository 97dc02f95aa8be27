"""What each module's error is, and what it does to the answers."""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from pipeline.bisection.hybrid import Hybrid
from validation.accuracy import Comparison, Evaluation
from validation.batches import Bools, Feeds, Run, batches
from validation.gate import Gates
from validation.sequential import single_look
from validation.tasks.base import Floats

# Below 20 dB something is wrong: 7-bit numbers keep 30 and more, with outliers too.
SUSPICIOUS = 1e-2

Progress = Callable[[int, int], None]


@dataclass(slots=True)
class Noise:
    """Energy of errors beside the energy of what should have been there, added up batch by batch."""

    error: float = 0.0
    signal: float = 0.0

    def add(self, expected: Floats, found: Floats) -> None:
        difference = found - expected
        self.error += float(np.vdot(difference, difference))
        self.signal += float(np.vdot(expected, expected))

    @property
    def share(self) -> float:
        """Error energy as a share of the signal's; 0 for what is exact."""
        return self.error / self.signal if self.signal else float(self.error > 0)


def decibels(share: float) -> float | None:
    """Signal-to-noise ratio in dB of a noise that is `share` of the signal's energy; None for no noise at all."""
    return -10 * math.log10(share) if share > 0 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a set of quantized modules does: noise in the outputs, and how answers compare with all in float."""

    noise: float
    comparison: Comparison

    @property
    def flips(self) -> int:
        """Decisions that differ from those in float."""
        return self.comparison.decisions - self.comparison.agreed


def local_noise(hybrid: Hybrid, feeds: Sequence[Feeds], *, apart: Collection[int]) -> list[float]:
    """The noise that each boundary's module adds itself, computing from float inputs."""
    found = [Noise() for _ in range(hybrid.boundaries)]
    for batch in feeds:
        for noise, (expected, quantized) in zip(found, hybrid.ends(batch, apart=apart), strict=True):
            noise.add(*_where(batch["attention_mask"] != 0, expected, quantized))
    return [noise.share for noise in found]


def mispaired(hybrid: Hybrid, feeds: Feeds) -> frozenset[int]:
    """Boundaries at which the two graphs do not mean the same value, so that nothing may be exchanged there.

    A bias added later, or a scale moved into the weights after it, looks like a large error of the module. But then
    what reads the float value errs as well, and stops when it is left its own; behind a real error it is the reverse.
    """
    before = local_noise(hybrid, [feeds], apart=())
    found = set()
    for index, noise in enumerate(before):
        if noise < SUSPICIOUS:
            continue
        after = local_noise(hybrid, [feeds], apart={index})
        if _others(after, index) < _others(before, index):
            found.add(index)
    return frozenset(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """Runs the hybrid with some boundaries quantized, and keeps the noise in its outputs."""

    hybrid: Hybrid
    quantized: frozenset[int]
    apart: frozenset[int]
    noise: Noise = field(default_factory=Noise)

    def run(self, feeds: Feeds) -> Mapping[str, Floats]:
        return self.hybrid.run(feeds, quantized=self.quantized, apart=self.apart)


def try_all(
    hybrid: Hybrid,
    evaluation: Evaluation,
    sets: Mapping[str, frozenset[int]],
    *,
    apart: frozenset[int],
    progress: Progress,
) -> dict[str, Outcome]:
    """The outcome of each set of quantized boundaries, by its name, on the same texts."""
    trials = {
        name: Trial(hybrid=hybrid, quantized=quantized, apart=apart) for name, quantized in sets.items()
    }
    expected: dict[str, Floats] = {}
    chosen: list[Bools] = []
    steps = _Steps(progress, len(tuple(batches(evaluation.rows, evaluation.served))) * (len(trials) + 1))

    def eager(feeds: Feeds, kept: Bools | None) -> Mapping[str, Floats]:
        steps.done()
        expected.update(hybrid.run(feeds, quantized=(), apart=apart))
        where = (feeds["attention_mask"] != 0) if kept is None else kept
        chosen[:] = [where]
        return expected

    def tried(trial: Trial) -> Run:
        def run(feeds: Feeds) -> Mapping[str, Floats]:
            steps.done()
            outputs = trial.run(feeds)
            for name, output in outputs.items():
                trial.noise.add(*_where(chosen[0], expected[name], output))
            return outputs

        return run

    # One worker, for `expected` and `chosen` are those of the batch under way.
    compared = evaluation.compare(
        eager,
        {name: tried(trial) for name, trial in trials.items()},
        dict.fromkeys(trials, ()),
        looks=(single_look(len(evaluation.examples), Gates().confidence),),
        workers=1,
        progress=lambda done, of: None,
    )
    return {
        name: Outcome(noise=trial.noise.share, comparison=compared[name]) for name, trial in trials.items()
    }


class _Steps:
    """Counts runs for a progress display."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress, self._total, self._count = progress, total, 0

    def done(self) -> None:
        self._count += 1
        self._progress(self._count, self._total)


def _others(noises: Sequence[float], index: int) -> float:
    return sum(noise for other, noise in enumerate(noises) if other != index)


def _where(kept: Bools, expected: Floats, found: Floats) -> tuple[Floats, Floats]:
    """Only the tokens `kept` of values with a token axis: what stands at padding is read by nobody."""
    kept = kept.reshape(-1, kept.shape[-1])
    if expected.shape[:2] != kept.shape or bool(kept.all()):
        return expected, found
    return expected[kept], found[kept]
