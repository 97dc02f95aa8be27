"""Fuzzes what strangers hand over: `python -m tests.fuzz --minutes 30`, or `make fuzz MINUTES=30`.

Exits with 1 if anything else than an expected error left the code under test, if a process crashed, took too long, or
took too much memory. Each finding is saved, and the command that reads it again is printed.
"""

import argparse
import hashlib
import sys
import tempfile
import time
from pathlib import Path

from tests.fuzz import samples, targets
from tests.fuzz.process import ReaderProcess
from tests.fuzz.search import Finding, Search
from tests.fuzz.target import Input

_MOST_TURN_SECONDS = 60.0


def main() -> int:
    """Parse the command line, run, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=1.0, help="for all targets together (default: 1)")
    parser.add_argument(
        "--seed", type=int, default=0, help="the same seed gives the same inputs (default: 0)"
    )
    parser.add_argument(
        "--target", action="append", choices=targets.names(), help="only this one; may be repeated"
    )
    parser.add_argument("--findings", type=Path, default=Path(".fuzz"), help="where findings are saved")
    parser.add_argument("--replay", type=Path, metavar="FILE", help="read one saved input of --target")
    arguments = parser.parse_args()
    names = tuple(arguments.target or targets.names())
    if sys.platform != "linux":
        parser.error("the limits of memory and time need Linux")
    if arguments.replay is not None and len(names) != 1:
        parser.error("--replay needs one --target")
    with tempfile.TemporaryDirectory(prefix="distilforge-fuzz-") as folder:
        sample_folder = samples.write(Path(folder) / "samples")
        if arguments.replay is not None:
            return _replay(names[0], arguments.replay, sample_folder)
        return _fuzz(names, arguments.minutes * 60, arguments.seed, sample_folder, arguments.findings)


def _fuzz(names: tuple[str, ...], seconds: float, seed: int, sample_folder: Path, folder: Path) -> int:
    """Let the targets take turns, and return the exit code."""
    searches = {name: Search(name, targets.module(name), sample_folder) for name in names}
    rounds = max(1, round(seconds / len(names) / _MOST_TURN_SECONDS))
    started = time.monotonic()
    count = 0
    for number in range(rounds):
        for name, search in searches.items():
            known = len(search.tally.findings)
            # A turn uses one seed for each 200 inputs
            tally = search.run(seconds / len(names) / rounds, seed + number * 1_000_000)
            _say(f"{time.monotonic() - started:6.0f} s  {name}: {tally}")
            for finding in tally.findings[known:]:
                count += 1
                _report(finding, folder)
    total = sum(search.tally.inputs for search in searches.values())
    _say(f"{total:,} inputs, seed {seed}: {count or 'no'} finding{'' if count == 1 else 's'}")
    return 1 if count else 0


def _report(finding: Finding, folder: Path) -> None:
    """Save the input of a finding, and print what it does and how to read it again."""
    digest = hashlib.sha256(finding.input.content).hexdigest()[:8]
    path = folder / finding.target / digest / finding.input.name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(finding.input.content)
    _say(f"\nFINDING in {finding.target}: {finding.outcome.finding}\n{finding.outcome.details}")
    _say(f"again: {sys.executable} -m tests.fuzz --target {finding.target} --replay {path}\n")


def _replay(name: str, path: Path, sample_folder: Path) -> int:
    with ReaderProcess(targets.module(name), sample_folder) as process:
        outcome = process.read(Input(name=path.name, content=path.read_bytes()))
    if outcome.finding:
        _say(f"{outcome.finding}\n{outcome.details}")
        return 1
    _say(f"refused: {outcome.error}" if outcome.error else "accepted")
    return 0


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - the only place that prints


if __name__ == "__main__":
    sys.exit(main())
