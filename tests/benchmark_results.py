"""Made-up timings of a release's variants on this machine, and records of them."""

from collections.abc import Mapping
from dataclasses import replace

from distilforge.benchmark import run
from distilforge.benchmark.result import BenchmarkResult
from distilforge.manifest import Manifest, Measurement, Span, Steadiness
from distilforge.records.benchmark_records import BenchmarkRecord
from distilforge.records.conditions import present_conditions
from distilforge.records.record_files import release_identity
from distilforge.timing.rounds import Timing
from distilforge.timing.shape import Shape

FP32, INT8 = "onnxruntime-cpu:fp32", "onnxruntime-cpu:int8"
ROUNDS = 12
SHAPES = (Shape(batch=1, tokens=16), Shape(batch=8, tokens=64))
STEADY = Steadiness(steady=True, reasons=(), rounds=ROUNDS)
BUSY = replace(
    STEADY, steady=False, reasons=("other processes took 1.2 cores for 2 of 2 s (quiet is at most 0.2)",)
)


def timing(seconds: Mapping[str, Mapping[Shape, float]], steadiness: Steadiness = STEADY) -> Timing:
    """Each variant takes its seconds at its shapes; rounds differ by 1% to each side."""
    return Timing(
        measurements=tuple(
            Measurement(
                subject=name,
                batch=shape.batch,
                tokens=shape.tokens,
                seconds=tuple(duration * (1 + 0.01 * (number % 3 - 1)) for number in range(ROUNDS)),
                runs=(1,) * ROUNDS,
            )
            for name, by_shape in seconds.items()
            for shape, duration in by_shape.items()
        ),
        steadiness=steadiness,
    )


def result(
    manifest: Manifest,
    milliseconds: Mapping[str, float],
    steadiness: Steadiness = STEADY,
    threads: int | None = None,
) -> BenchmarkResult:
    """Each variant takes its `milliseconds` at every shape."""
    seconds = {name: dict.fromkeys(SHAPES, 1e-3 * duration) for name, duration in milliseconds.items()}
    return run.summarize(
        manifest, tuple(milliseconds), timing(seconds, steadiness), threads=threads, cannot_run={}
    )


def record(manifest: Manifest, speeds: Mapping[str, float], threads: int | None = None) -> BenchmarkRecord:
    """A record that the release's variants were so many times as fast as the first on this machine."""
    return BenchmarkRecord(
        release=release_identity(manifest),
        name=manifest.name,
        version=manifest.version,
        conditions=present_conditions(manifest, threads),
        measured_at="2026-11-25T12:00:00+00:00",
        shapes=("1x16",),
        speeds=speeds,
    )


def with_choices(manifest: Manifest) -> Manifest:
    """`manifest` for a head whose texts have choices, usually three."""
    return replace(manifest, spans={**manifest.spans, "choices": Span(low=2, usual=3, high=5)})
