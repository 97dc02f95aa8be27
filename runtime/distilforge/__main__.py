"""`python -m distilforge`."""

import sys

from distilforge.interruption import Command, run_interruptible


def _load() -> Command:
    from distilforge.command_line import main

    return main


if __name__ == "__main__":
    sys.exit(run_interruptible(_load))
