"""All errors of this package.

ValidationError
├── DataError                evaluation or calibration data are absent, malformed, empty or of another head
├── GatesError               a setting of the gates is out of range
├── UnusableReferenceError   eager PyTorch gives NaN or infinity, so nothing can be compared with it
└── ArtifactError            a variant's outputs are not those that its head declares
"""


class ValidationError(Exception):
    """Base of all errors: what happened, with the offending value, and a hint with the next step."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(f"{message}\n  hint: {hint}" if hint else message)
        self.message = message
        self.hint = hint


class DataError(ValidationError):
    """Evaluation or calibration data are absent, malformed, empty or of another head."""


class GatesError(ValidationError):
    """A setting of the gates is out of range."""


class UnusableReferenceError(ValidationError):
    """Eager PyTorch gives NaN or infinity, so nothing can be compared with it."""


class ArtifactError(ValidationError):
    """A variant's outputs are not those that its head declares."""
