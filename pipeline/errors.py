"""Every error the pipeline raises itself, and the exit code of each error class of every room.

PipelineError
├── UsageError    the command line or the recipe asks for something that cannot be
├── MissingError  a package or a device that was asked for is not on this machine
├── StageError    a stage failed
│   └── ContractError  a pass matched fewer times than it must
└── GateError     everything was built, but validation said no
"""

import errno
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from distilforge.errors import DistilforgeError, InputError, ReleaseError, UnavailableError
from distilforge.manifest import Manifest

from model_src.errors import ModelSourceError, UnavailableAttentionError
from validation.errors import DataError, GatesError, ValidationError


class PipelineError(Exception):
    """Base of the pipeline's errors: what happened with the offending value, and a hint with the next step."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(f"{message}\n  hint: {hint}" if hint else message)
        self.message = message
        self.hint = hint

    @property
    def brief(self) -> str:
        """What went wrong in a few words, for a table."""
        return _first_line(self.message)


class UsageError(PipelineError):
    """The command line or the recipe asks for something that cannot be."""


class MissingError(PipelineError):
    """A package or a device that was asked for is not on this machine."""


class StageError(PipelineError):
    """A stage failed; the cause is chained."""

    def __init__(self, stage: str, message: str, *, hint: str = "") -> None:
        super().__init__(f"stage {stage} failed: {message}", hint=hint)
        self.stage = stage

    @property
    def brief(self) -> str:
        return f"stage {self.stage} failed"


class ContractError(StageError):
    """The pass `name` made fewer rewrites than it must: the graph is not the one that it was written for."""

    def __init__(self, name: str, rewrites: int, expected: int, refusals: Sequence[str]) -> None:
        why = f": {'; '.join(dict.fromkeys(refusals))}" if refusals else ": nothing looked like its pattern"
        super().__init__(
            "fuse",
            f"{name} matched {rewrites} times, must match at least {expected} times{why}",
            hint=f"an exporter that writes other operators needs another pattern in the pass {name}; "
            "`distilforge list passes` has them all",
        )
        self.name = name
        self.rewrites = rewrites
        self.expected = expected


class GateError(PipelineError):
    """Everything was built, but validation said no, so nothing was published; `manifest` has the verdicts.

    reason: why, in a few words. details: a line for each check or variant that is behind it.
    """

    def __init__(self, reason: str, details: Sequence[str], manifest: Manifest, *, hint: str = "") -> None:
        headline = f"{manifest.name} was built but not published: {reason}"
        super().__init__("\n".join([headline, *details]), hint=hint)
        self.headline = headline
        self.reason = reason
        self.manifest = manifest

    @property
    def brief(self) -> str:
        return f"not published: {self.reason}"


EXPECTED = (PipelineError, ModelSourceError, DistilforgeError, ValidationError)
"""Errors that explain themselves; any other exception inside a stage is a failure of that stage."""

# The first class that fits decides, so subclasses come before their bases.
EXIT_CODES: tuple[tuple[type[Exception], int], ...] = (
    (UsageError, 2),
    (InputError, 2),
    (DataError, 2),
    (GatesError, 2),
    (MissingError, 3),
    (UnavailableError, 3),
    (UnavailableAttentionError, 3),
    (ReleaseError, 4),
    (ModelSourceError, 4),
    (GateError, 6),
    (StageError, 5),
)

WORST_FIRST = (5, 4, 3, 2, 6)
"""Exit codes of failures; a run over several releases exits with the first of these that one of them has."""

_STORAGE_ERRORS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "a file grew beyond the limit of this process or file system",
}

# What numpy says, without a number, where the disk took less than it wrote
_SHORT_WRITE = "problem writing element"


def exit_code(error: Exception) -> int:
    """What the process exits with for `error`; 5, a failed stage, for what no table entry names."""
    return next((code for kind, code in EXIT_CODES if isinstance(error, kind)), 5)


def worst(codes: Iterable[int]) -> int:
    """The exit code that stands for all of `codes`; 0 where nothing failed."""
    return min((code for code in codes if code), key=WORST_FIRST.index, default=0)


def brief(error: Exception) -> str:
    """What went wrong in a few words, for a table."""
    return error.brief if isinstance(error, PipelineError) else _first_line(str(error))


def _first_line(text: str) -> str:
    return text.partition("\n")[0]


def failed(stage: str, cause: Exception) -> StageError:
    """The failure of `stage` by `cause`, in words a user can act on."""
    if isinstance(cause, OSError) and (cause.errno in _STORAGE_ERRORS or _SHORT_WRITE in str(cause)):
        return StageError(
            stage,
            f"{_STORAGE_ERRORS[cause.errno or errno.ENOSPC]} ({cause})",
            hint="make room, or choose another disk with --artifacts; `distilforge clean` removes the work folder",
        )
    return StageError(
        stage, f"{type(cause).__name__}: {cause}", hint="run again with --verbose for the traceback"
    )


@contextmanager
def in_stage(stage: str) -> Iterator[None]:
    """Raise what does not explain itself as the failure of `stage`, with the cause chained."""
    try:
        yield
    except EXPECTED:
        raise
    except Exception as cause:
        raise failed(stage, cause) from cause
