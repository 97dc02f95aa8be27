"""Time and peak memory of a build in a fresh process: `python -m bench.build_cost optimum|ours CHECKPOINT FOLDER`."""

import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import preparing

BYTES = 1024 if sys.platform == "linux" else 1
VARIANT = "onnxruntime-cpu:int8"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Seconds on the clock, and bytes of the largest process that took part, as getrusage gives them."""

    seconds: float
    peak_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Builds:
    """One builder's builds, in the order made."""

    costs: tuple[Cost, ...]

    @property
    def seconds(self) -> float:
        """The median."""
        return statistics.median(cost.seconds for cost in self.costs)

    @property
    def peak_bytes(self) -> int:
        """The most that a build needed, since memory has to suffice for every one."""
        return max(cost.peak_bytes for cost in self.costs)


class BuildError(Exception):
    """A build ended without its file."""


def measure_in_turns(
    builders: Sequence[str],
    build: Callable[[str], Cost],
    *,
    rounds: int,
    progress: Callable[[str], None] = lambda _: None,
) -> tuple[dict[str, Builds], dict[str, BuildError]]:
    """`rounds` builds of each of `builders`; and of those with a build that failed, why: they are not built again.

    Each round begins one builder further on, so that none always follows the same one.
    """
    costs: dict[str, list[Cost]] = {which: [] for which in builders}
    failed: dict[str, BuildError] = {}
    for turn in range(rounds):
        for place in range(len(builders)):
            which = builders[(turn + place) % len(builders)]
            if which in failed:
                continue
            progress(f"building {turn + 1} of {rounds}: {which}")
            try:
                costs[which].append(build(which))
            except BuildError as error:
                failed[which] = error
    built = {
        which: Builds(costs=tuple(made)) for which, made in costs.items() if made and which not in failed
    }
    return built, failed


def measure(which: str, checkpoint: Path, log: Path) -> Cost:
    """Build once, from a fresh process to its end, into a folder that is thrown away; BuildError where it fails."""
    with tempfile.TemporaryDirectory() as folder, log.open("w", encoding="utf-8") as errors:
        command = (sys.executable, "-m", "bench.build_cost", which, str(checkpoint), folder)
        done = subprocess.run(  # noqa: S603 - this module
            command, stdout=subprocess.PIPE, stderr=errors, text=True, check=False
        )
    if done.returncode != 0:
        lines = log.read_text(encoding="utf-8").strip().splitlines() or ["no output"]
        raise BuildError(f"the build of {which} ended with exit code {done.returncode}: {lines[-1]}")
    values = json.loads(done.stdout.splitlines()[-1])
    return Cost(seconds=values["seconds"], peak_bytes=values["peak_bytes"])


def command(which: str, checkpoint: Path, folder: Path) -> tuple[str, ...]:
    """What builds: our own command, or Optimum's three steps in a script of ours."""
    if which == "ours":
        ours = str(Path(sys.executable).with_name("distilforge"))
        return (ours, "compile", str(checkpoint), "--variant", VARIANT, "--artifacts", str(folder))
    return preparing.command(preparing.CPU, which, checkpoint, folder)


def main() -> None:
    """Run one build as a child and say what it took; the child's children are counted too."""
    which, checkpoint, folder = sys.argv[1:]
    start = time.perf_counter()
    subprocess.run(  # noqa: S603 - commands above
        command(which, Path(checkpoint), Path(folder)), stdout=sys.stderr, check=True
    )
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * BYTES
    sys.stdout.write(json.dumps({"seconds": seconds, "peak_bytes": peak}) + "\n")


if __name__ == "__main__":
    main()
