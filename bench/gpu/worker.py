"""A column in a process of its own: `python -m bench.gpu.worker NAME FOLDER`, or `... prepare NAME SOURCE FOLDER`.

It speaks as bench.worker does; the reply also has "device_bytes", the device memory taken since before the subject was
opened, and "allocated_bytes", as torch counts it.
"""

import gc
import json
import os
import sys
import time
from pathlib import Path
from typing import TextIO

from bench.gpu.subjects import Runner, subjects
from bench.shapes import Shape, feeds

PREPARE = "prepare"
# A GPU at rest lowers its clocks; before a turn it is kept busy for so long
WARM_SECONDS = 0.05


def _serve(runner: Runner, free: int, requests: TextIO, replies: TextIO) -> None:
    shape = None
    for line in requests:
        request: dict[str, int] = json.loads(line)
        wanted = Shape(batch=request["batch"], tokens=request["tokens"])
        if wanted != shape:
            runner.feed(*feeds(wanted))
            shape = wanted
        if request["warm_ups"]:
            _warm(runner, request["warm_ups"])
        seconds = runner.time(request["runs"])
        _reply(
            replies,
            {
                "seconds": list(seconds),
                "logits": runner.logits().tolist(),
                "device_bytes": free - _free(),
                "allocated_bytes": runner.allocated_bytes(),
            },
        )


def _warm(runner: Runner, runs: int) -> None:
    end = time.perf_counter() + WARM_SECONDS
    done = 0
    while done < runs or time.perf_counter() < end:
        runner.time(1)
        done += 1


def _free() -> int:
    import torch

    return int(torch.cuda.mem_get_info()[0])


def _reply(replies: TextIO, values: dict[str, object]) -> None:
    replies.write(json.dumps(values) + "\n")
    replies.flush()


def main() -> None:
    """Prepare, or open and serve until standard input ends."""
    if sys.argv[1] == PREPARE:
        name, source, folder = sys.argv[2:]
        subjects.find(name).prepare(Path(source), Path(folder))
        return
    name, folder = sys.argv[1:]
    with os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8") as replies:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        # The context that every process on the device has is not the subject's
        free = _free()
        runner = subjects.find(name).open(Path(folder))
        gc.collect()
        gc.disable()
        _reply(replies, {})
        _serve(runner, free, sys.stdin, replies)


if __name__ == "__main__":
    main()
