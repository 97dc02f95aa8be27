"""Time and peak memory of a build in a fresh process: `python -m bench.build_cost BUILDER CHECKPOINT FOLDER`.

BUILDER is `ours`, the command of this project, or the name of a subject.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from distilforge.timing.ratios import estimate

from bench.contest import preparation_process
from bench.models import release_folder

OURS = "ours"
VARIANT = "onnxruntime-cpu:int8"
# getrusage(2) counts kilobytes on Linux and bytes on macOS
_RSS_UNIT_BYTES = 1024 if sys.platform == "linux" else 1


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildCost:
    """What one build took."""

    seconds: float
    """Wall time."""
    peak_bytes: int
    """The largest resident set of any process of the build, as getrusage(2) gives it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuilderCosts:
    """What the builds of one builder took."""

    costs: tuple[BuildCost, ...]
    """The builds in order."""

    @property
    def seconds(self) -> float:
        """The median."""
        return estimate(np.array([cost.seconds for cost in self.costs])).value

    @property
    def peak_bytes(self) -> int:
        """The highest of all builds, because a machine needs enough memory for each of them."""
        return max(cost.peak_bytes for cost in self.costs)


class BuildError(Exception):
    """A build failed."""


def measure_in_turns(
    builders: Sequence[str],
    build: Callable[[str], BuildCost],
    *,
    rounds: int,
    progress: Callable[[str], None] = lambda _: None,
) -> tuple[dict[str, BuilderCosts], dict[str, BuildError]]:
    """The costs of `rounds` builds of each of `builders`, and the errors of builders that failed.

    A builder that failed once is not run again and does not have costs. Each round begins with the next builder, so
    that a builder does not always follow the same one.
    """
    costs: dict[str, list[BuildCost]] = {builder: [] for builder in builders}
    errors: dict[str, BuildError] = {}
    for number in range(rounds):
        for place in range(len(builders)):
            builder = builders[(number + place) % len(builders)]
            if builder in errors:
                continue
            progress(f"building {number + 1} of {rounds}: {builder}")
            try:
                costs[builder].append(build(builder))
            except BuildError as error:
                errors[builder] = error
    complete = {
        builder: BuilderCosts(costs=tuple(builds))
        for builder, builds in costs.items()
        if builds and builder not in errors
    }
    return complete, errors


def measure(builder: str, checkpoint: Path, log: Path) -> BuildCost:
    """The cost of one build in a fresh process, into a temporary folder; raises BuildError if it fails."""
    with tempfile.TemporaryDirectory() as folder, log.open("w", encoding="utf-8") as errors:
        arguments = (sys.executable, "-m", "bench.build_cost", builder, str(checkpoint), folder)
        process = subprocess.run(  # noqa: S603 - this module
            arguments, stdout=subprocess.PIPE, stderr=errors, text=True, check=False
        )
    if process.returncode != 0:
        lines = log.read_text(encoding="utf-8").strip().splitlines() or ["it printed nothing"]
        raise BuildError(f"the build of {builder} ended with exit code {process.returncode}: {lines[-1]}")
    values = json.loads(process.stdout.splitlines()[-1])
    return BuildCost(seconds=values["seconds"], peak_bytes=values["peak_bytes"])


def command(builder: str, checkpoint: Path, folder: Path) -> tuple[str, ...]:
    """The command that builds `checkpoint` into `folder`."""
    if builder == OURS:
        options = ("--variant", VARIANT, "--artifacts", str(folder))
        return (*release_folder.COMMAND, "compile", str(checkpoint), *options)
    return preparation_process.command(preparation_process.CPU, builder, checkpoint, folder)


def main() -> None:
    """Run one build as a child process and print its cost; children of the child are counted too."""
    builder, checkpoint, folder = sys.argv[1:]
    start = time.perf_counter()
    subprocess.run(  # noqa: S603 - the commands above
        command(builder, Path(checkpoint), Path(folder)), stdout=sys.stderr, check=True
    )
    seconds = time.perf_counter() - start
    peak_bytes = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * _RSS_UNIT_BYTES
    sys.stdout.write(json.dumps({"seconds": seconds, "peak_bytes": peak_bytes}) + "\n")


if __name__ == "__main__":
    main()
