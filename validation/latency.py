"""Latency of eager PyTorch and of every variant, in turns, on the same threads, with every raw sample kept."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from distilforge.manifest import Measurement, Span

from validation import bootstrap, generated
from validation.batches import Feeds
from validation.report import EAGER, Speedup
from validation.tasks.base import Served

WARM_UPS = 1
FEWEST_ROUNDS = 5
MOST_ROUNDS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Seconds of each round at one shape, in the order taken, of eager and of every variant, by subject."""

    batch: int
    tokens: int
    seconds: Mapping[str, tuple[float, ...]]

    def pair(self, variant: str, over: str = EAGER) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """The samples of `over` and of `variant`."""
        return self.seconds[over], self.seconds[variant]

    def speedup(self, variant: str, confidence: float, *, over: str = EAGER) -> Speedup:
        """Ratio of the medians, with its interval."""
        pairs = [self.pair(variant, over)]
        return Speedup(
            batch=self.batch,
            tokens=self.tokens,
            ratio=bootstrap.speedup(pairs),
            interval=bootstrap.speedup_interval(pairs, confidence=confidence),
            over=over,
        )

    def measurements(self, variant: str) -> tuple[Measurement, Measurement]:
        """The samples of eager and of `variant` as the manifest keeps them."""
        eager, own = (
            Measurement(subject=subject, batch=self.batch, tokens=self.tokens, seconds=self.seconds[subject])
            for subject in (EAGER, variant)
        )
        return eager, own


def time_in_turns(
    subjects: Mapping[str, Callable[[], object]], *, seconds: float
) -> dict[str, tuple[float, ...]]:
    """Samples of each, in seconds: as many rounds as fit into `seconds`, at least 5 and at most 200.

    In each round each subject runs twice and the second run is timed, because the first one after a switch pays for
    another's warm caches and for its thread pool, which spins on for a while. The order is swapped every round.
    """
    for _ in range(WARM_UPS):
        for run in subjects.values():
            run()
    samples: dict[str, list[float]] = {name: [] for name in subjects}
    order = tuple(subjects)
    end = time.perf_counter() + seconds
    for turn in range(MOST_ROUNDS):
        if turn >= FEWEST_ROUNDS and time.perf_counter() >= end:
            break
        for name in order if turn % 2 == 0 else reversed(order):
            subjects[name]()
            samples[name].append(_seconds(subjects[name]))
    return {name: tuple(taken) for name, taken in samples.items()}


def usable_shapes(
    shapes: tuple[tuple[int, int], ...], spans: Mapping[str, Span]
) -> tuple[tuple[int, int], ...]:
    """`shapes` held within the spans, each once."""
    batch, tokens = spans["batch"], spans["sequence"]
    held = (
        (min(max(rows, batch.low), batch.high), min(max(length, tokens.low), tokens.high))
        for rows, length in shapes
    )
    return tuple(dict.fromkeys(held))


def time_all(
    subjects: Mapping[str, Callable[[Feeds], object]],
    served: Served,
    shapes: tuple[tuple[int, int], ...],
    *,
    seconds: float,
) -> tuple[Timing, ...]:
    """All of `subjects` in turns on random inputs, a timing for each of `shapes`, of about `seconds` each."""
    spans = served.manifest.spans
    random = np.random.default_rng(generated.SEED)
    timings = []
    for batch, tokens in usable_shapes(shapes, spans):
        shape = (batch, spans["choices"].usual, tokens) if "choices" in spans else (batch, tokens)
        feeds = generated.random_feeds(shape, served.vocabulary, random)
        timings.append(measure(subjects, feeds, seconds=seconds))
    return tuple(timings)


def measure(subjects: Mapping[str, Callable[[Feeds], object]], feeds: Feeds, *, seconds: float) -> Timing:
    """Timing of all subjects on `feeds`; one of them is called eager."""
    shape = feeds["input_ids"].shape

    def on_feeds(run: Callable[[Feeds], object]) -> Callable[[], object]:
        return lambda: run(feeds)

    taken = time_in_turns({name: on_feeds(run) for name, run in subjects.items()}, seconds=seconds)
    return Timing(batch=shape[0], tokens=shape[-1], seconds=taken)


def _seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start
