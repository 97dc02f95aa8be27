"""The entry point of `distilforge`."""

import sys

from distilforge.interruption import Command, run_interruptible


def main() -> None:
    """Run the command in `sys.argv`, and end with its exit code."""
    sys.exit(run_interruptible(_load))


def _load() -> Command:
    from pipeline.cli.app import main

    return main


if __name__ == "__main__":
    main()
