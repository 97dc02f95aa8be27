"""Make every kind of package of the demo's releases, run every self-test, and write the table into docs/packages.md.

Usage: python -m demo.package_table [--kinds tar,wheel] RELEASE...

A package is removed after its test. Exits with 1 if a self-test fails.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from distilforge.errors import DistilforgeError
from distilforge.records.processor import this_processor

from demo import tables
from pipeline.errors import MissingError, PipelineError, StageError, UsageError
from pipeline.packages import kinds
from pipeline.packages.assembly import build, testing
from pipeline.packages.base import PackageOptions

DOCUMENT = Path(__file__).parents[1] / "docs" / "packages.md"
COLUMNS = ("release", "kind", "variant", "MB", "start-up, s", "client", "result")
NONE = "-"
_ERRORS = (PipelineError, DistilforgeError)


class Messages:
    """Writes remarks to the standard error."""

    def note(self, text: str) -> None:
        sys.stderr.write(f"  {text}\n")


def main() -> int:
    """Write the table and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kinds", default=",".join(kinds.names()))
    parser.add_argument("releases", nargs="+", type=Path)
    arguments = parser.parse_args()
    rows = [row(release, kind) for release in arguments.releases for kind in arguments.kinds.split(",")]
    tables.write_table(DOCUMENT, table(rows))
    return int(any(cells[-1].startswith("failed") for cells in rows))


def row(release: Path, kind: str) -> tuple[str, ...]:
    """The cells of one package, which is made, tested and removed."""
    sys.stderr.write(f"{release.name}: {kind}\n")
    with tempfile.TemporaryDirectory(prefix="distilforge-") as folder:
        try:
            package = build.make(
                release,
                kinds.find(kind),
                output=Path(folder) / "package",
                variant=None,
                options=PackageOptions(),
                trust=None,
                replace=False,
                listener=Messages(),
            )
        except UsageError as error:
            # The release does not have what the kind holds
            return (release.name, kind, *[NONE] * 4, f"not made: {error.brief}")
        except _ERRORS as error:
            return (release.name, kind, *[NONE] * 4, f"failed: {_first_line(error)}")
        if kind == "node" and shutil.which("npm"):
            _install_dependencies(package.folder)
        start = (release.name, kind, package.record.variant, f"{package.record.bytes / 1e6:.1f}")
        try:
            test = testing.run(package.record, package.folder)
        except MissingError as error:
            return (*start, NONE, NONE, f"not tested: {error.brief}")
        except StageError as error:
            return (*start, NONE, NONE, f"failed: {_first_line(error)}")
        result = f"{test.examples} answers, largest error {test.largest_error:.1g}"
        return (*start, f"{test.start_seconds:.1f}", test.client, result)


def _install_dependencies(package: Path) -> None:
    """Install what a Node.js package needs; onnxruntime-node would also fetch libraries for CUDA."""
    environment = {**os.environ, "ONNXRUNTIME_NODE_INSTALL": "skip"}
    command = ("npm", "install", "--no-audit", "--no-fund", "--silent")
    subprocess.run(command, cwd=package, env=environment, check=True)  # noqa: S603


def table(rows: Sequence[Sequence[str]]) -> str:
    """The rows as Markdown, with the date and the conditions."""
    return f"{datetime.now(UTC):%Y-%m-%d}, {this_processor().model}.\n\n{tables.table(COLUMNS, rows)}"


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


if __name__ == "__main__":
    sys.exit(main())
