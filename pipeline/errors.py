"""The errors that the pipeline raises, and the exit code for every expected error.

PipelineError
├── UsageError    the command line or the recipe asks for something impossible
│   └── OptionError    an option of a plan or of engines cannot have its value
├── MissingError  a package or a device that was asked for is not on this machine
├── StageError    a stage failed
│   └── ContractError  a pass matched less often than it must
└── GateError     everything was built, but validation said no
"""

import errno
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from distilforge.errors import DistilforgeError, InputError, ReleaseError, UnavailableError
from distilforge.manifest import Manifest

from model_src.errors import ModelSourceError, UnavailableAttentionError
from validation.errors import DataError, GatesError, ValidationError


class PipelineError(Exception):
    """Base of the pipeline's errors: what happened, with the offending value, and a hint on what to do next."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(f"{message}\n  hint: {hint}" if hint else message)
        self.message = message
        self.hint = hint

    @property
    def brief(self) -> str:
        """What went wrong, in a few words for a table."""
        return _first_line(self.message)


class UsageError(PipelineError):
    """The command line or the recipe asks for something impossible."""


class OptionError(UsageError):
    """An option of a plan, or of engines, has a value that it cannot have here. The words call options as files do."""

    def __init__(self, message: str, *, hint: str = "", **values: object) -> None:
        """`message` and `hint` are templates: `{name}` stands for one of `values`, or else for the option `name`."""
        self._templates = message, hint
        self._values = values
        plain, plain_hint = self._words({})
        super().__init__(plain, hint=plain_hint)

    def called(self, names: Mapping[str, str]) -> UsageError:
        """The same error in words that call each option as `names` does, such as by its flag."""
        message, hint = self._words(names)
        return UsageError(message, hint=hint)

    def _words(self, names: Mapping[str, str]) -> tuple[str, str]:
        words = _Words({**names, **self._values})
        message, hint = (template.format_map(words) for template in self._templates)
        return message, hint


class _Words(dict[str, object]):
    """What the names in a template stand for; any other stands for itself."""

    def __missing__(self, name: str) -> str:
        return name


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


# The same operators in every layer are refused for the same reason
_MOST_REASONS = 3


class ContractError(StageError):
    """The pass `name` made fewer rewrites than it must, so that the graph is not one that it was written for."""

    def __init__(
        self,
        name: str,
        rewrites: int,
        expected: int,
        refusals: Sequence[str],
        *,
        before: Sequence[str] = (),
        stage: str = "fuse",
        hint: str = "",
    ) -> None:
        """`refusals` are the reasons for which the pass left similar operators as they are; the message has a few.

        The hint names the passes that these ask for, `before`. Where there are none, it is `hint`, or else suspects the
        exporter. A scheme names its own `stage`.
        """
        reasons = list(dict.fromkeys(refusals)) or ["nothing looked like its pattern"]
        if len(reasons) > _MOST_REASONS:
            reasons[_MOST_REASONS:] = [f"and {len(reasons) - _MOST_REASONS} more"]
        self.name = name
        self.rewrites = rewrites
        self.expected = expected
        self.refusals = tuple(refusals)
        self.before = tuple(dict.fromkeys(before))
        if self.before:
            hint = f"name {', '.join(self.before)} too: among the passes of the plan, or with --pass"
        super().__init__(
            stage,
            f"{name} matched {rewrites} times, must match at least {expected} times: {'; '.join(reasons)}",
            hint=hint
            or f"if the exporter writes other operators now, the pass {name} needs another pattern; "
            "`distilforge list passes` prints all passes",
        )

    def hinting(self, hint: str) -> "ContractError":
        """The same error with `hint`, unless it names passes that must be applied before."""
        return ContractError(
            self.name,
            self.rewrites,
            self.expected,
            self.refusals,
            before=self.before,
            stage=self.stage,
            hint=hint,
        )


class GateError(PipelineError):
    """Everything was built, but validation said no, so nothing was published."""

    def __init__(self, reason: str, details: Sequence[str], manifest: Manifest, *, hint: str = "") -> None:
        """`reason` is a few words, `details` a line for each check or variant; `manifest` has the verdicts."""
        headline = f"{manifest.name} was built but not published: {reason}"
        super().__init__("\n".join([headline, *details]), hint=hint)
        self.headline = headline
        self.reason = reason
        self.manifest = manifest

    @property
    def brief(self) -> str:
        return f"not published: {self.reason}"


EXPECTED = (PipelineError, ModelSourceError, DistilforgeError, ValidationError)
"""Errors with a message for users; any other exception in a stage is a failure of that stage."""

# The first class that fits decides, so subclasses come before their bases
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
"""The exit codes of failures; a build of several releases exits with the first of these that one of them has."""

_STORAGE_ERRORS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "a file grew beyond the limit of this process or file system",
}

_PERMISSION_ERRORS = (errno.EACCES, errno.EPERM, errno.EROFS)

# numpy's message, without an errno, if the disk accepted only a part of what it wrote
_SHORT_WRITE = "problem writing element"


def exit_code(error: Exception) -> int:
    """The process's exit code for `error`; 5, a failed stage, for an error that is not in the table."""
    return next((code for kind, code in EXIT_CODES if isinstance(error, kind)), 5)


def worst(codes: Iterable[int]) -> int:
    """The worst of `codes`; 0 if nothing failed."""
    return min((code for code in codes if code), key=WORST_FIRST.index, default=0)


def brief(error: Exception) -> str:
    """What went wrong, in a few words for a table."""
    return error.brief if isinstance(error, PipelineError) else _first_line(str(error))


def _first_line(text: str) -> str:
    return text.partition("\n")[0]


def failed(stage: str, cause: Exception) -> StageError:
    """The failure of `stage` because of `cause`, in words that a user can act on."""
    if isinstance(cause, OSError) and (cause.errno in _STORAGE_ERRORS or _SHORT_WRITE in str(cause)):
        return StageError(
            stage,
            f"{_STORAGE_ERRORS[cause.errno or errno.ENOSPC]} ({cause})",
            hint="make room, or choose another disk with --artifacts; `distilforge clean` removes the work folder",
        )
    if isinstance(cause, OSError) and cause.errno in _PERMISSION_ERRORS:
        return StageError(
            stage,
            f"this user may not use a file that the stage needs: {cause}",
            hint="ask its owner for write access to the artifacts folder, or choose another with --artifacts",
        )
    return StageError(
        stage, f"{type(cause).__name__}: {cause}", hint="run again with --verbose for the traceback"
    )


@contextmanager
def in_stage(stage: str) -> Iterator[None]:
    """Raise every exception that is not expected as a failure of `stage`, with the cause chained."""
    try:
        yield
    except EXPECTED:
        raise
    except Exception as cause:
        raise failed(stage, cause) from cause
