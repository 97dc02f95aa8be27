"""CUDA events as a clock: what passes on the device between the first and the last of what a call launches."""

from collections.abc import Callable

_MILLISECONDS = 1000


def seconds_of(run: Callable[[], None]) -> float:
    """Seconds of one `run`, which is waited for."""
    import torch

    start = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
    end = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
    start.record()
    run()
    end.record()
    end.synchronize()
    return float(start.elapsed_time(end)) / _MILLISECONDS
