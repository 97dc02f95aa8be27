"""What Ray adds to `distilforge run`: the same file answered by worker processes and by actors of a local Ray.

    python -m bench.bulk_overhead artifacts/sentiment --input texts.jsonl [--workers 2] [--rounds 3]

Each round answers the file three times, in turns: by worker processes, by `--ray` where the command starts Ray, and
by `--ray` on a Ray that is running. Prints the median seconds of each, and the ratios to worker processes with a 95%
interval. Exits with 1 if the outputs differ. It needs `pip install 'distilforge[bulk,ray]'`.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from time import perf_counter

import numpy as np
from distilforge.timing.ratios import estimate

from bench.contest.ratios import CONFIDENCE

LOCAL, STARTED, RUNNING = "worker processes", "Ray, started for it", "Ray that runs"
# No statistics over the network
_QUIET = {"RAY_USAGE_STATS_ENABLED": "0"}


def seconds_to_answer(
    release: str, source: Path, output: Path, workers: int, environment: Mapping[str, str] | None
) -> float:
    """Seconds that `distilforge run` takes; with --ray and `environment`, or without Ray if that is None."""
    command = [sys.executable, "-m", "distilforge", "run", release, "--input", str(source), "--force"]
    command += ["--output", str(output), "--workers", str(workers)]
    if environment is not None:
        command.append("--ray")
    start = perf_counter()
    subprocess.run(  # noqa: S603 - the command above
        command, env={**os.environ, **_QUIET, **(environment or {})}, stdout=subprocess.DEVNULL, check=True
    )
    return perf_counter() - start


@contextmanager
def running_ray(workers: int) -> Iterator[Mapping[str, str]]:
    """The environment in which a command uses a Ray on this machine that has as many cores as there are `workers`."""
    import ray

    os.environ.update(_QUIET)
    ray.init(address="local", num_cpus=workers, include_dashboard=False, logging_level="ERROR")
    try:
        yield {"RAY_ADDRESS": ray.get_runtime_context().gcs_address}
    finally:
        ray.shutdown()


def main() -> int:
    """Parse the command line, take the samples, and return the exit code."""
    parser = argparse.ArgumentParser(description="What Ray adds to the time of `distilforge run`.")
    parser.add_argument("release", help="a release")
    parser.add_argument("--input", type=Path, required=True, help="a file that the release can answer")
    parser.add_argument("--workers", type=int, default=2, help="worker processes, or actors")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    contents: set[bytes] = set()
    samples: dict[str, list[float]] = {LOCAL: [], STARTED: [], RUNNING: []}
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "answers.jsonl"
        answer = partial(seconds_to_answer, arguments.release, arguments.input, output, arguments.workers)
        for _ in range(arguments.rounds):
            samples[LOCAL].append(answer(None))
            contents.add(output.read_bytes())
            samples[STARTED].append(answer({"RAY_ADDRESS": "local"}))
            contents.add(output.read_bytes())
            with running_ray(arguments.workers) as environment:
                samples[RUNNING].append(answer(environment))
            contents.add(output.read_bytes())
    local = np.array(samples[LOCAL])
    for name, seconds in samples.items():
        ratio = estimate(np.array(seconds) / local, confidence=CONFIDENCE)
        interval = "too few rounds" if ratio.interval is None else "{:.2f} to {:.2f}".format(*ratio.interval)
        print(  # noqa: T201 - a benchmark prints
            f"{name:20} {estimate(np.array(seconds)).value:8.1f} s   {ratio.value:.2f} times (95% {interval})"
        )
    if len(contents) > 1:
        sys.stderr.write("the outputs differ\n")
    return int(len(contents) > 1)


if __name__ == "__main__":
    raise SystemExit(main())
