"""The ceiling: how fast a large fp16 matrix product is through torch, `python -m bench.gpu.ceiling`."""

import json
import sys
from statistics import median

from bench.gpu.events import seconds_of

SIZE = 8192
WARM_UPS = 10
RUNS = 30


def operations_per_second() -> float:
    """Of the median of some runs on random numbers, in a row: a power limit acts on zeros far less."""
    import torch

    left, right = (torch.randn(SIZE, SIZE, device="cuda", dtype=torch.float16) for _ in range(2))

    def product() -> None:
        torch.matmul(left, right)

    seconds = [seconds_of(product) for _ in range(WARM_UPS + RUNS)][WARM_UPS:]
    return 2 * SIZE**3 / median(seconds)


if __name__ == "__main__":
    sys.stdout.write(json.dumps(operations_per_second()) + "\n")
