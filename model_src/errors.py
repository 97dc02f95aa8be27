"""All errors that this package raises.

ModelSourceError
├── ConfigurationError         config.json does not describe a DistilBERT that this package can compute
├── CheckpointError            files are missing, damaged or not trusted, or tensors do not fit
└── UnavailableAttentionError  the attention implementation cannot run here
"""


class ModelSourceError(Exception):
    """The base of all errors: what happened, with the offending value, and a hint with what to do next."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(f"{message}\n  hint: {hint}" if hint else message)
        self.message = message
        self.hint = hint


class ConfigurationError(ModelSourceError):
    """config.json does not describe a DistilBERT that this package can compute."""


class CheckpointError(ModelSourceError):
    """Files are missing, damaged or not trusted, or tensors do not fit."""


class UnavailableAttentionError(ModelSourceError):
    """The attention implementation cannot run here."""
