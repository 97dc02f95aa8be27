"""CUDA events as a clock: the time on the device from the first kernel of a call to its last one."""

from collections.abc import Callable

_MILLISECONDS = 1000


def seconds_of(run: Callable[[], None]) -> float:
    """Seconds of one call of `run`; returns when its kernels are done."""
    import torch

    start = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
    end = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
    start.record()
    run()
    end.record()
    end.synchronize()
    return float(start.elapsed_time(end)) / _MILLISECONDS
