"""A subject in a process of its own: `python -m bench.worker NAME FOLDER THREADS`, or `... prepare NAME SOURCE FOLDER`.

It answers each line of JSON on its standard input with one on its standard output; what libraries print goes to the
standard error. A request is {"batch", "tokens", "warm_ups", "runs"}, the reply {"seconds": [...], "logits": [[...]]}.
"""

import gc
import json
import os
import sys
import time
from pathlib import Path
from typing import TextIO

from bench.shapes import Shape, feeds
from bench.subjects import Answer, subjects

PREPARE = "prepare"


def _serve(answer: Answer, requests: TextIO, replies: TextIO) -> None:
    for line in requests:
        request: dict[str, int] = json.loads(line)
        ids, mask = feeds(Shape(batch=request["batch"], tokens=request["tokens"]))
        logits = None
        for _ in range(request["warm_ups"]):
            logits = answer(ids, mask)
        seconds = []
        for _ in range(request["runs"]):
            start = time.perf_counter()
            logits = answer(ids, mask)
            seconds.append(time.perf_counter() - start)
        assert logits is not None
        _reply(replies, {"seconds": seconds, "logits": logits.tolist()})


def _reply(replies: TextIO, values: dict[str, object]) -> None:
    replies.write(json.dumps(values) + "\n")
    replies.flush()


def main() -> None:
    """Prepare, or open and serve until standard input ends."""
    if sys.argv[1] == PREPARE:
        name, source, folder = sys.argv[2:]
        subjects.find(name).prepare(Path(source), Path(folder))
        return
    name, folder, threads = sys.argv[1:]
    with os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8") as replies:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        answer = subjects.find(name).open(Path(folder), int(threads))
        gc.collect()
        gc.disable()
        _reply(replies, {})
        _serve(answer, sys.stdin, replies)


if __name__ == "__main__":
    main()
