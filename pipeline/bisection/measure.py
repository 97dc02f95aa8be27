"""The error of each module, and its effect on the answers."""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from pipeline.bisection.hybrid import Hybrid
from validation.answers.accuracy import Comparison, Evaluation
from validation.answers.batches import Bools, Feeds, Run, batches
from validation.answers.channels import Channels
from validation.gates import Gates
from validation.statistics.sequential import single_look
from validation.tasks.base import Floats

# A signal-to-noise ratio below 20 dB: 7-bit numbers reach 30 dB and more, even with outliers.
SUSPICIOUS = 1e-2

Progress = Callable[[int, int], None]


@dataclass(slots=True)
class Noise:
    """Energy, a sum of squares, of errors and of what varies in the expected values, added up batch by batch.

    What is constant over texts and tokens carries no information. So the signal is what each channel deviates from its
    mean, as in validation: one channel that is always large would otherwise make every error look small.
    """

    error: float = 0.0
    """Energy of the differences."""
    channels: Channels | None = None
    """What varies in the expected values; None before there are any."""

    def add(self, expected: Floats, actual: Floats, *, has_channels: bool) -> None:
        """Add the values of one batch; the last of their axes holds channels if `has_channels`.

        Otherwise there is one channel.
        """
        difference = actual - expected
        self.error += float(np.vdot(difference, difference))
        if not expected.size:
            return
        batch = Channels.of(
            torch.from_numpy(expected.astype(np.float64)),
            torch.from_numpy(np.abs(difference)),
            ("channel",) if has_channels else ("sequence",),
        )
        self.channels = batch if self.channels is None else self.channels.with_more(batch)

    @property
    def signal(self) -> float:
        """Energy of the signal; with a single row, that of its values, since nothing shows what is constant."""
        if self.channels is None:
            return 0.0
        if self.channels.rows > 1:
            return float(self.channels.squares.sum())
        return float(np.vdot(self.channels.means, self.channels.means))

    @property
    def share(self) -> float:
        """The energy of errors as a share of the signal's; 0 where there is no error."""
        return share([self])


def share(noises: Collection[Noise]) -> float:
    """The energy of all errors in `noises` as a share of that of all signals; 0 where there is no error."""
    error, signal = sum(noise.error for noise in noises), sum(noise.signal for noise in noises)
    return error / signal if signal else float(error > 0)


def decibels(share: float) -> float | None:
    """The signal-to-noise ratio in dB of noise that is `share` of the signal's energy; None without noise."""
    return -10 * math.log10(share) if share > 0 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The effect of a set of quantized modules."""

    noise: float
    """Noise in the model's outputs, as a share of the energy of what varies over texts in float."""
    comparison: Comparison
    """The answers against those with all modules in float."""

    @property
    def flips(self) -> int:
        """Decisions that differ from those in float."""
        return self.comparison.decisions - self.comparison.agreed


def local_noise(hybrid: Hybrid, feeds: Sequence[Feeds], *, unpaired: Collection[int]) -> list[float]:
    """The noise that the module of each boundary adds when it computes from float inputs."""
    noises = [Noise() for _ in range(hybrid.boundaries)]
    for batch in feeds:
        ends = hybrid.ends(batch, unpaired=unpaired)
        for noise, (expected, quantized), has_channels in zip(noises, ends, hybrid.channels, strict=True):
            tokens = batch["attention_mask"] != 0
            noise.add(
                *_at_tokens(tokens, expected, quantized, has_channels=has_channels), has_channels=has_channels
            )
    return [noise.share for noise in noises]


def mispaired(hybrid: Hybrid, feeds: Feeds) -> frozenset[int]:
    """Boundaries at which the two graphs hold different values, so that nothing may be exchanged there.

    A bias that is added later, or a scale that moved into the next weights, looks like a large error of the module.
    In that case the variant's next modules err too when they read the float value, and stop when they read their own.
    After a real error it is the other way round.
    """
    boundaries: set[int] = set()
    before = local_noise(hybrid, [feeds], unpaired=())
    for index in range(hybrid.boundaries):
        if before[index] < SUSPICIOUS:
            continue
        after = local_noise(hybrid, [feeds], unpaired={*boundaries, index})
        if _sum_of_others(after, index) < _sum_of_others(before, index):
            boundaries.add(index)
            # What comes later is judged with this one out of the way: queries that are divided elsewhere would hide
            # that the values behind them are scaled
            before = after
    return frozenset(boundaries)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A set of quantized boundaries, and the noise that it causes in the outputs."""

    hybrid: Hybrid
    """The merged graph."""
    quantized: frozenset[int]
    """Boundaries that the variant computes."""
    unpaired: frozenset[int]
    """Boundaries at which nothing is exchanged."""
    noises: Mapping[str, Noise]
    """The noise of the batches so far in each output, by its name."""

    def run(self, feeds: Feeds) -> Mapping[str, Floats]:
        """The outputs for one batch."""
        return self.hybrid.run(feeds, quantized=self.quantized, unpaired=self.unpaired)


def try_all(
    hybrid: Hybrid,
    evaluation: Evaluation,
    sets: Mapping[str, frozenset[int]],
    *,
    unpaired: frozenset[int],
    progress: Progress,
) -> dict[str, Outcome]:
    """The outcome of each set of quantized boundaries on the same texts, by the set's name."""
    trials = {
        name: Trial(
            hybrid=hybrid,
            quantized=quantized,
            unpaired=unpaired,
            noises={output: Noise() for output in hybrid.outputs},
        )
        for name, quantized in sets.items()
    }
    expected: dict[str, Floats] = {}
    tokens: list[Bools] = []
    steps = _Steps(progress, len(tuple(batches(evaluation.rows, evaluation.reader))) * (len(trials) + 1))

    def eager(feeds: Feeds, kept: Bools | None) -> Mapping[str, Floats]:
        steps.done()
        expected.update(hybrid.run(feeds, quantized=(), unpaired=unpaired))
        tokens[:] = [(feeds["attention_mask"] != 0) if kept is None else kept]
        return expected

    def run_of(trial: Trial) -> Run:
        def run(feeds: Feeds) -> Mapping[str, Floats]:
            steps.done()
            outputs = trial.run(feeds)
            for name, output in outputs.items():
                has_channels = hybrid.outputs[name]
                trial.noises[name].add(
                    *_at_tokens(tokens[0], expected[name], output, has_channels=has_channels),
                    has_channels=has_channels,
                )
            return outputs

        return run

    # One worker, because `expected` and `tokens` belong to the current batch.
    comparisons = evaluation.compare(
        eager,
        {name: run_of(trial) for name, trial in trials.items()},
        dict.fromkeys(trials, ()),
        looks=(single_look(len(evaluation.examples), Gates().confidence),),
        workers=1,
        progress=lambda done, of: None,
    )
    return {
        name: Outcome(noise=share(trial.noises.values()), comparison=comparisons[name])
        for name, trial in trials.items()
    }


class _Steps:
    """Counts runs for progress messages."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress, self._total, self._count = progress, total, 0

    def done(self) -> None:
        self._count += 1
        self._progress(self._count, self._total)


def _sum_of_others(noises: Sequence[float], index: int) -> float:
    return sum(noise for other, noise in enumerate(noises) if other != index)


def _at_tokens(
    tokens: Bools, expected: Floats, actual: Floats, *, has_channels: bool
) -> tuple[Floats, Floats]:
    """Both arrays at `tokens` only, where they have a token axis: no answer depends on the padding.

    An axis of channels is not one of tokens, although a text may have as many tokens.
    """
    tokens = tokens.reshape(-1, tokens.shape[-1])
    axes = expected.shape[:-1] if has_channels else expected.shape
    if axes[:2] != tokens.shape or bool(tokens.all()):
        return expected, actual
    return expected[tokens], actual[tokens]
