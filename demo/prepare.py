"""Make the data sets of every head from the archive of bigbench: `python -m demo.prepare [ARCHIVE]`."""

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
"""The folder of the data sets that are part of the repository."""
SCRATCH = Path("demo/.scratch")
"""The folder of the data sets that only the training needs."""

MOST_EVALUATION_EXAMPLES = 1500
"""The examples that are committed for evaluation; further ones are in no set.

They are enough for an interval of accuracy of about 2 points either way, and few enough that every build can run all
of them through eager PyTorch.
"""


class HeadData(Protocol):
    """What a module of `demo/splits` defines."""

    MEMBERS: tuple[str, ...]
    """The files of the archive that it reads."""

    def build(self, source: Bigbench) -> Splits:
        """Make the examples of the head and split them."""
        ...


def heads() -> dict[str, HeadData]:
    """The modules of `demo/splits`, by head."""
    names = [module.name for module in iter_modules(demo.splits.__path__)]
    return {name: cast(HeadData, import_module(f"demo.splits.{name}")) for name in names}


def write(path: Path, examples: Sequence[Example]) -> None:
    """Write `examples` as compressed JSON lines; equal examples give equal bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = "".join(json.dumps(example.record, ensure_ascii=False) + "\n" for example in examples)
    path.write_bytes(gzip.compress(lines.encode(), compresslevel=9, mtime=0))


def prepare(archive: Path) -> None:
    """Write evaluation and calibration sets to COMMITTED, and training and development sets to SCRATCH."""
    modules = heads()
    sys.stderr.write(f"reading {archive}\n")
    source = Bigbench(archive, {member for module in modules.values() for member in module.MEMBERS})
    for name, module in modules.items():
        splits = module.build(source)
        write(COMMITTED / name / "evaluation.jsonl.gz", splits.evaluation[:MOST_EVALUATION_EXAMPLES])
        write(COMMITTED / name / "calibration.jsonl.gz", splits.calibration)
        write(SCRATCH / name / "train.jsonl.gz", splits.train)
        write(SCRATCH / name / "development.jsonl.gz", splits.development)
        sys.stderr.write(
            f"{name}: {len(splits.train)} train, {len(splits.development)} development, "
            f"{len(splits.evaluation[:MOST_EVALUATION_EXAMPLES])} evaluation, {len(splits.calibration)} calibration\n"
        )


def main() -> None:
    """Parse the command line and prepare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "archive",
        type=Path,
        nargs="?",
        default=SCRATCH / "bigbench-1.0.0.tar.gz",
        help="the source archive of bigbench, which `pip download --dest demo/.scratch` writes",
    )
    prepare(parser.parse_args().archive)


if __name__ == "__main__":
    main()
