"""Every error the runtime raises.

DistilforgeError
├── InputError        what the caller passed cannot be used (text too long, wrong shape, unknown option)
├── ReleaseError      the release is absent, damaged, too new or not trusted
├── UnavailableError  what was asked for (variant, provider, package) cannot be had on this machine
├── EngineError       the inference engine failed on input that was checked (out of memory, a device lost)
└── TimingError       what was to be timed could not be opened, or its process ended
"""


class DistilforgeError(Exception):
    """Base of all errors: what happened with the offending value, and a hint with the next step."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(f"{message}\n  hint: {hint}" if hint else message)
        self.message = message
        self.hint = hint


class InputError(DistilforgeError):
    """What the caller passed cannot be used."""


class ReleaseError(DistilforgeError):
    """The release is absent, damaged, too new or not trusted."""


class UnavailableError(DistilforgeError):
    """What was asked for cannot be had on this machine."""


class EngineError(DistilforgeError):
    """The inference engine failed on input that was checked."""


class TimingError(DistilforgeError):
    """What was to be timed could not be opened, or its process ended before it answered."""
