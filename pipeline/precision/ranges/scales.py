"""Scales in the precision that a graph multiplies by them in."""

import numpy as np
import numpy.typing as npt

Float32 = npt.NDArray[np.float32]
# Below it fp16's numbers grow coarse: a scale there is wrong by up to all of itself
SMALLEST_HALF = float(np.finfo(np.float16).smallest_normal)


def in_half(scales: npt.ArrayLike) -> Float32:
    """`scales` as fp16 holds them, in float32: rounded up, so that the largest number still fits, and none subnormal.

    A scale that is raised to the smallest normal number, 6.1e-5, leaves an error of at most half of that in what it
    scales, which is fp16's own at 0.06. Raises OverflowError for one beyond fp16.
    """
    wanted = np.maximum(np.asarray(scales, dtype=np.float32), np.float32(SMALLEST_HALF))
    with np.errstate(over="ignore"):
        halves = wanted.astype(np.float16)
    short = halves.astype(np.float32) < wanted
    raised: Float32 = np.where(short, np.nextafter(halves, np.float16(np.inf)), halves).astype(np.float32)
    if not np.isfinite(raised).all():
        raise OverflowError(f"a scale of {wanted.max()} is beyond fp16")
    return raised
