"""A subject's own process: `python -m distilforge.timing.worker OPENER ARGUMENTS`, with the arguments as JSON.

The process answers each line of JSON on its standard input with one line on its standard output. The first line, {},
says that the subject is open. Whatever libraries print goes to the standard error.

A request is {"batch": int, "tokens": int, "settle": bool, "warm_ups": int, "runs": int}. The reply is
{"seconds": [...], "facts": {...}}, or {"refused": "..."} if the subject cannot take that shape.
"""

import ctypes
import gc
import json
import os
import signal
import statistics
import sys
import time
from collections.abc import Mapping
from typing import TextIO

from distilforge.timing.shape import Shape
from distilforge.timing.subject import Json, Runner, open_runner

# A subject is warm once its last runs differ no more than they do on a quiet machine ...
WARM_RUNS = 3
WARM_SPREAD = 0.1
# ... or after this time, because some never settle on a busy machine
WARM_SECONDS = 2.0
MOST_WARM_RUNS = 50
_SET_PARENT_DEATH_SIGNAL = 1


def main() -> None:
    """Open the subject, and answer requests until the standard input ends."""
    opener, arguments = sys.argv[1:]
    _die_with_parent()
    with os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8") as replies:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        runner = open_runner(opener, json.loads(arguments))
        # Garbage collection during a run would count as the subject's time
        gc.collect()
        gc.disable()
        _reply(replies, {})
        _serve(runner, sys.stdin, replies)


def _serve(runner: Runner, requests: TextIO, replies: TextIO) -> None:
    fed: Shape | None = None
    for line in requests:
        request: dict[str, int] = json.loads(line)
        shape = Shape(batch=request["batch"], tokens=request["tokens"])
        if shape != fed:
            fed = None
            try:
                runner.feed(shape)
                if request["settle"]:
                    settle(runner)
            except Exception as refusal:  # noqa: BLE001 - a subject may raise anything, and loses only this shape
                _reply(replies, {"refused": f"{type(refusal).__name__}: {refusal}"})
                continue
            fed = shape
        runner.seconds(request["warm_ups"])
        seconds = runner.seconds(request["runs"])
        _reply(replies, {"seconds": seconds, "facts": runner.facts()})


def settle(runner: Runner) -> None:
    """Run until the last runs take the same time, but no longer than WARM_SECONDS."""
    seconds: list[float] = []
    end = time.perf_counter() + WARM_SECONDS
    while len(seconds) < MOST_WARM_RUNS and time.perf_counter() < end:
        seconds += runner.seconds(1)
        last = seconds[-WARM_RUNS:]
        if len(last) == WARM_RUNS and max(last) - min(last) <= WARM_SPREAD * statistics.median(last):
            return


def _reply(replies: TextIO, values: Mapping[str, Json]) -> None:
    replies.write(json.dumps(values) + "\n")
    replies.flush()


def _die_with_parent() -> None:
    """Have Linux end this process when its parent ends.

    A parent that is killed cannot end its children, and a child that is stopped at that moment would never end.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)


if __name__ == "__main__":
    main()
