"""Every error the validation room raises.

ValidationError
├── DataError                evaluation or calibration data are absent, malformed, empty or of another head
├── GatesError               the gates ask for something that makes no sense
├── UnusableReferenceError   eager PyTorch gives no usable reference to compare with
└── ArtifactError            a variant cannot be compared: its outputs are not those that its head declares
"""


class ValidationError(Exception):
    """Base of all errors: what happened with the offending value, and a hint with the next step."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(f"{message}\n  hint: {hint}" if hint else message)
        self.message = message
        self.hint = hint


class DataError(ValidationError):
    """Evaluation or calibration data are absent, malformed, empty or of another head."""


class GatesError(ValidationError):
    """The gates ask for something that makes no sense."""


class UnusableReferenceError(ValidationError):
    """Eager PyTorch gives no usable reference to compare with."""


class ArtifactError(ValidationError):
    """A variant cannot be compared: its outputs are not those that its head declares."""
