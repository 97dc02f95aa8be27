"""The ceiling on a GPU: the speed of a large fp16 matrix product in PyTorch, `python -m bench.gpu.ceiling`."""

import json
import sys
from statistics import median

from bench.gpu.events import seconds_of

SIZE = 8192
WARM_UPS = 10
RUNS = 30


def operations_per_second() -> float:
    """Operations per second in the median of several runs in a row.

    The numbers are random, because a power limit slows a product of zeros far less.
    """
    import torch

    left, right = (torch.randn(SIZE, SIZE, device="cuda", dtype=torch.float16) for _ in range(2))

    def product() -> None:
        torch.matmul(left, right)

    seconds = [seconds_of(product) for _ in range(WARM_UPS + RUNS)][WARM_UPS:]
    # A multiplication and an addition count as two operations
    return 2 * SIZE**3 / median(seconds)


if __name__ == "__main__":
    sys.stdout.write(json.dumps(operations_per_second()) + "\n")
