"""A made-up report of a GPU: eager, SDPA and an engine at three shapes."""

from dataclasses import replace

from distilforge.timing.shape import Shape

from bench.contest.rows import Omission
from bench.gpu.memory import Memory
from bench.gpu.report import EAGER, LARGE, SDPA, SMALL, GpuReport, engine_limits
from tests.unit.bench.contests import contest, timing

TINY = Shape(batch=2, tokens=64)
ENGINE = "TensorRT"
COLUMNS = (EAGER, SDPA, ENGINE)
ROUNDS = 20
CEILING = 800e12
SECONDS = {SMALL: (4e-3, 3e-3, 1e-3), TINY: (2.048e-3, 1.6e-3, 1e-3), LARGE: (3e-3, 2e-3, 0.8e-3)}
"""Seconds of each column at each shape."""


def report(columns: tuple[str, ...] = COLUMNS, *, refusal: tuple[str, Shape, str] | None = None) -> GpuReport:
    """The report of `columns`; `refusal` is a column that does not take a shape, and the reason."""
    refused = refusal[:2] if refusal else None
    seconds = {
        (column, shape): value
        for shape, values in SECONDS.items()
        for column, value in zip(COLUMNS, values, strict=True)
        if column in columns and (column, shape) != refused
    }
    # The noise is a thousandth
    samples = timing(seconds, spread=1e-3, rounds=ROUNDS)
    if refusal:
        samples = replace(samples, refusals={refusal[:2]: refusal[2]})
    held = contest(
        samples,
        columns,
        candidates=(ENGINE,),
        omissions=(Omission(name="TensorRT-RTX", reason="not installed: tensorrt-rtx"),),
        differences={SDPA: 2e-3},
        ceiling=CEILING,
    )
    memory = {
        (column, shape): Memory(device=300_000_000, allocated=150_000_000 if column == EAGER else 100_000_000)
        for column, shape in seconds
    }
    return GpuReport(contest=held, memory=memory, limits=engine_limits(samples, held.judged, CEILING))
