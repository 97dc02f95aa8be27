"""Time and peak memory of a build in a fresh process: `python -m bench.build_cost optimum|ours CHECKPOINT FOLDER`."""

import json
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

BYTES = 1024 if sys.platform == "linux" else 1
VARIANT = "onnxruntime-cpu:int8"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Seconds on the clock, and bytes of the largest process that took part, as getrusage gives them."""

    seconds: float
    peak_bytes: int


class BuildError(Exception):
    """A build ended without its file."""


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
    return (sys.executable, "-m", "bench.worker", "prepare", which, str(checkpoint), str(folder))


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
