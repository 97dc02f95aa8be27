"""Made-up timings of a release's variants, to judge their speed."""

from collections.abc import Mapping, Sequence

from distilforge.manifest import Measurement, Steadiness

from validation.latency.speed import ReleaseTiming

ROUNDS = 12
SHAPES = ((1, 16), (8, 128))
STEADY = Steadiness(steady=True, reasons=(), rounds=ROUNDS)
BUSY = Steadiness(
    steady=False,
    reasons=("other processes took 1.0 cores for 9 of 9 s (quiet is at most 0.2)",),
    rounds=ROUNDS,
)


def timed(
    seconds: Mapping[str, float | Sequence[float]], steadiness: Steadiness = STEADY, wobble: float = 0.01
) -> ReleaseTiming:
    """Each subject takes its seconds, one number for all shapes or one for each, with `wobble` between rounds."""
    return ReleaseTiming(
        measurements=tuple(
            Measurement(
                subject=subject,
                batch=batch,
                tokens=tokens,
                seconds=tuple(
                    (duration if isinstance(duration, float) else duration[place])
                    # The order differs between subjects, because a slow round does not slow all subjects alike
                    * (1 + wobble * ((number * (index + 1)) % 5 - 2) / 2)
                    for number in range(ROUNDS)
                ),
                runs=(1,) * ROUNDS,
            )
            for index, (subject, duration) in enumerate(seconds.items())
            for place, (batch, tokens) in enumerate(SHAPES)
        ),
        steadiness=steadiness,
        threads=2,
    )
