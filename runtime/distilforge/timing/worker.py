"""A subject in a process of its own: `python -m distilforge.timing.worker OPENER ARGUMENTS`, arguments as JSON.

It answers each line of JSON on its standard input with one on its standard output; what libraries print goes to the
standard error. A request is {"batch", "tokens",
"settle", "warm_ups", "runs"}. The reply is {"seconds": [...], "facts": {...}}, or
{"refused": "..."} where the subject cannot take that shape.
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

# A subject is warm once its last runs differ no more than a quiet machine's runs do ...
WARM_RUNS = 3
WARM_SPREAD = 0.1
# ... or once it had its time: some never settle on a busy machine
WARM_SECONDS = 2.0
MOST_WARM_RUNS = 50
_SET_PARENT_DEATH_SIGNAL = 1


def main() -> None:
    """Open the subject and serve until standard input ends."""
    opener, arguments = sys.argv[1:]
    _die_with_parent()
    with os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8") as replies:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        runner = open_runner(opener, json.loads(arguments))
        # A collection in the middle of a run would count as the subject's time
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
            except Exception as refusal:  # noqa: BLE001 - whatever a subject raises costs it this shape and no more
                _reply(replies, {"refused": f"{type(refusal).__name__}: {refusal}"})
                continue
            fed = shape
        runner.seconds(request["warm_ups"])
        seconds = runner.seconds(request["runs"])
        _reply(replies, {"seconds": seconds, "facts": runner.facts()})


def settle(runner: Runner) -> None:
    """Run until the last runs take the same time, or for two seconds."""
    taken: list[float] = []
    end = time.perf_counter() + WARM_SECONDS
    while len(taken) < MOST_WARM_RUNS and time.perf_counter() < end:
        taken += runner.seconds(1)
        last = taken[-WARM_RUNS:]
        if len(last) == WARM_RUNS and max(last) - min(last) <= WARM_SPREAD * statistics.median(last):
            return


def _reply(replies: TextIO, values: Mapping[str, Json]) -> None:
    replies.write(json.dumps(values) + "\n")
    replies.flush()


def _die_with_parent() -> None:
    """Where the system can: a parent that is killed cannot end its children, and a stopped one would stay for good."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)


if __name__ == "__main__":
    main()
