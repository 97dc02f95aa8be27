"""Make every head's data sets from the bigbench archive: `python -m demo.prepare [ARCHIVE]`."""

import argparse
import gzip
import json
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Protocol, cast

import demo.splits
from demo.bigbench import Bigbench
from demo.split import Example, Splits

COMMITTED = Path("validation/data")
SCRATCH = Path("demo/.scratch")

# Examples committed for evaluation: enough for an interval of accuracy of about 2 points either way, and few enough
# that every build can afford to run all of them through eager PyTorch. What is beyond them is in no set at all.
EVALUATED = 1500


class HeadData(Protocol):
    """What a file of `demo/splits` defines."""

    MEMBERS: tuple[str, ...]

    def build(self, source: Bigbench) -> Splits:
        """Make the head's examples and split them."""
        ...


def heads() -> dict[str, HeadData]:
    """The files of `demo/splits` by name."""
    names = [module.name for module in iter_modules(demo.splits.__path__)]
    return {name: cast(HeadData, import_module(f"demo.splits.{name}")) for name in names}


def write(path: Path, examples: Sequence[Example]) -> None:
    """Write JSON lines, compressed so that equal examples give equal bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = "".join(json.dumps(example.record, ensure_ascii=False) + "\n" for example in examples)
    path.write_bytes(gzip.compress(lines.encode(), compresslevel=9, mtime=0))


def prepare(archive: Path) -> None:
    """Write evaluation and calibration sets to be committed, training and development sets to the scratch."""
    modules = heads()
    sys.stderr.write(f"reading {archive}\n")
    source = Bigbench(archive, {member for module in modules.values() for member in module.MEMBERS})
    for name, module in modules.items():
        splits = module.build(source)
        write(COMMITTED / name / "evaluation.jsonl.gz", splits.evaluation[:EVALUATED])
        write(COMMITTED / name / "calibration.jsonl.gz", splits.calibration)
        write(SCRATCH / name / "train.jsonl.gz", splits.train)
        write(SCRATCH / name / "development.jsonl.gz", splits.development)
        sys.stderr.write(
            f"{name}: {len(splits.train)} train, {len(splits.development)} development, "
            f"{len(splits.evaluation[:EVALUATED])} evaluation, {len(splits.calibration)} calibration\n"
        )


def main() -> None:
    """Parse the command line and prepare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "archive",
        type=Path,
        nargs="?",
        default=SCRATCH / "bigbench-1.0.0.tar.gz",
        help="bigbench's source archive, as `pip download --dest demo/.scratch` leaves it",
    )
    prepare(parser.parse_args().archive)


if __name__ == "__main__":
    main()
