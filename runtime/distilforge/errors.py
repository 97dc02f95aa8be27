"""Every error the runtime raises.

DistilforgeError
├── InputError        an argument cannot be used (text too long, wrong shape, unknown option)
├── ReleaseError      the release is absent, damaged, too new or not trusted
├── UnavailableError  this machine does not have what was asked for (variant, provider, package, device)
├── BusyError         a batched session has no room or no time for another call
├── EngineError       the inference engine failed on input that passed the checks (out of memory, a lost device)
└── TimingError       a variant that is timed could not be opened, or its process ended
"""


class DistilforgeError(Exception):
    """The base of all errors. `str(error)` is the message, followed by the hint if there is one."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(f"{message}\n  hint: {hint}" if hint else message)
        self.message = message
        """What happened, with the offending value and the bound."""
        self.hint = hint
        """What to do next; may be empty."""


class InputError(DistilforgeError):
    """An argument cannot be used: it is not text, too long, of the wrong shape, or an unknown option."""


class ReleaseError(DistilforgeError):
    """The release is absent, damaged, too new for this package, of another head, or not validated."""


class UnavailableError(DistilforgeError):
    """This machine does not have the variant, provider, package, driver or device that was asked for."""


class EngineError(DistilforgeError):
    """The inference engine failed on input that passed the checks, or answered NaN or infinity."""


class BusyError(DistilforgeError):
    """Too many calls of a batched session wait, or one had no answer in time; ask again later."""


class TimingError(DistilforgeError):
    """A variant that is timed could not be opened, or its process ended before it answered."""
