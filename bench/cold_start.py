"""Time from the start of Python to the first answer: distilforge against onnxruntime and tokenizers used by hand.

    python -m bench.cold_start artifacts/sentiment [--rounds 20] [--raw samples.json] [--limit 0.15]

Each sample is a fresh process, and the two take turns. Prints the medians and their difference with a 95% interval;
the exit code is 1 if the median difference is above the limit.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from time import perf_counter

import numpy as np
from distilforge.release import resolve
from distilforge.timing.ratios import estimate

from bench.contest.ratios import CONFIDENCE

TEXT = "a thoroughly good film, and not one minute too long"

BY_HAND = f"""
import sys
import numpy, onnxruntime, tokenizers
folder = sys.argv[1]
tokenizer = tokenizers.Tokenizer.from_file(folder + "/tokenizer.json")
options = onnxruntime.SessionOptions()
options.inter_op_num_threads = 1
session = onnxruntime.InferenceSession(folder + "/onnx/model.onnx", options, providers=["CPUExecutionProvider"])
ids = numpy.array([tokenizer.encode({TEXT!r}).ids], dtype=numpy.int64)
logits = session.run(None, {{"input_ids": ids, "attention_mask": numpy.ones_like(ids)}})[0]
print(logits.argmax(), flush=True)
"""

DISTILFORGE = f"""
import sys
import distilforge
session = distilforge.open(sys.argv[1], allow_unvalidated=True)
print(session({TEXT!r}), flush=True)
"""


def seconds_to_answer(script: str, folder: Path) -> float:
    """Seconds until a fresh Python process that runs `script` prints its first line."""
    start = perf_counter()
    command = (sys.executable, "-c", script, str(folder))
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:  # noqa: S603 - a script of this file
        assert process.stdout is not None
        answer = process.stdout.readline()
        seconds = perf_counter() - start
        process.stdout.read()
    if process.returncode != 0 or not answer:
        raise SystemExit(f"the process ended with exit code {process.returncode} and without an answer")
    return seconds


def main() -> int:
    """Parse the command line, take the samples, and return the exit code."""
    parser = argparse.ArgumentParser(description="Time to the first answer, against onnxruntime by hand.")
    parser.add_argument("release", help="a sequence classification release")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--raw", type=Path, help="write every sample, in seconds, to this JSON file")
    parser.add_argument("--limit", type=float, default=0.15, help="seconds that distilforge may add")
    arguments = parser.parse_args()
    folder = resolve(arguments.release)
    for script in (BY_HAND, DISTILFORGE):
        # The first run reads the files into memory
        seconds_to_answer(script, folder)
    samples = np.array(
        [
            [seconds_to_answer(script, folder) for script in (BY_HAND, DISTILFORGE)]
            for _ in range(arguments.rounds)
        ]
    )
    if arguments.raw is not None:
        raw = {"by_hand_seconds": samples[:, 0].tolist(), "distilforge_seconds": samples[:, 1].tolist()}
        arguments.raw.write_text(json.dumps(raw, indent=1) + "\n", encoding="utf-8")
    by_hand, distilforge = (estimate(column).value for column in samples.T)
    difference = estimate(samples[:, 1] - samples[:, 0], confidence=CONFIDENCE)
    interval = (
        "too few rounds" if difference.interval is None else "{:.3f} to {:.3f}".format(*difference.interval)
    )
    print(f"by hand      {by_hand:.3f} s   (median of {arguments.rounds})")  # noqa: T201 - a benchmark prints
    print(f"distilforge  {distilforge:.3f} s")  # noqa: T201
    print(f"difference   {difference.value:.3f} s   (95% interval {interval})")  # noqa: T201
    return int(difference.value > arguments.limit)


if __name__ == "__main__":
    raise SystemExit(main())
