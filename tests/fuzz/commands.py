"""Runs a command in this process, and looks at what it prints and how it exits."""

import re
from pathlib import Path

from typer.testing import CliRunner

from pipeline.cli.app import app
from pipeline.errors import EXIT_CODES

_CODES = (0, *(code for _, code in EXIT_CODES))
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


class CommandError(Exception):
    """The command refused its input with a message and an exit code."""


def command(*arguments: str | Path) -> None:
    """Run `distilforge` with `arguments`; CommandError for one of its exit codes, and any other error as it is."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code in _CODES, f"exit code {result.exit_code}"
    control = _CONTROL.search(result.output)
    assert control is None, (
        f"it prints {control.group()!r} in {result.output[control.start() - 80 :][:160]!r}"
    )
    if result.exit_code:
        raise CommandError(result.output)
