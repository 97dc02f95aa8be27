"""Latency of eager PyTorch and of a variant, in turns, on the same threads, with every raw sample kept."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from distilforge.manifest import Measurement, Span

from validation import bootstrap
from validation.batches import Feeds
from validation.report import Speedup

WARM_UPS = 1
FEWEST_ROUNDS = 5
MOST_ROUNDS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Seconds of each round at one shape, of eager and of a variant, in the order taken."""

    batch: int
    tokens: int
    eager: tuple[float, ...]
    variant: tuple[float, ...]

    def speedup(self, confidence: float) -> Speedup:
        """Ratio of the medians, with its interval."""
        pairs = [(self.eager, self.variant)]
        return Speedup(
            batch=self.batch,
            tokens=self.tokens,
            ratio=bootstrap.speedup(pairs),
            interval=bootstrap.speedup_interval(pairs, confidence=confidence),
        )

    def measurements(self, variant: str) -> tuple[Measurement, Measurement]:
        """The samples as the manifest keeps them."""
        return (
            Measurement(subject="eager", batch=self.batch, tokens=self.tokens, seconds=self.eager),
            Measurement(subject=variant, batch=self.batch, tokens=self.tokens, seconds=self.variant),
        )


def time_in_turns(
    eager: Callable[[], object], variant: Callable[[], object], *, seconds: float
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Samples of both, in seconds: as many rounds as fit into `seconds`, at least 5 and at most 200.

    In each round each subject runs twice and the second run is timed, because the first one after a switch pays for
    the other's warm caches and for its thread pool, which spins on for a while. The order is swapped every round.
    """
    subjects = (eager, variant)
    for _ in range(WARM_UPS):
        for subject in subjects:
            subject()
    samples: tuple[list[float], list[float]] = ([], [])
    end = time.perf_counter() + seconds
    for turn in range(MOST_ROUNDS):
        if turn >= FEWEST_ROUNDS and time.perf_counter() >= end:
            break
        for index in (0, 1) if turn % 2 == 0 else (1, 0):
            subjects[index]()
            samples[index].append(_seconds(subjects[index]))
    return tuple(samples[0]), tuple(samples[1])


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


def measure(
    eager: Callable[[Feeds], object], variant: Callable[[Feeds], object], feeds: Feeds, *, seconds: float
) -> Timing:
    """Timing of both on `feeds`."""
    shape = feeds["input_ids"].shape
    eager_seconds, variant_seconds = time_in_turns(
        lambda: eager(feeds), lambda: variant(feeds), seconds=seconds
    )
    return Timing(batch=shape[0], tokens=shape[-1], eager=eager_seconds, variant=variant_seconds)


def _seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start
