"""Every error the model room raises.

ModelSourceError
├── ConfigurationError         config.json describes something that is no DistilBERT we can compute
├── CheckpointError            files are absent, damaged, not trusted, or tensors do not fit
└── UnavailableAttentionError  the attention implementation cannot run here
"""


class ModelSourceError(Exception):
    """Base of all errors: what happened with the offending value, and a hint with the next step."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(f"{message}\n  hint: {hint}" if hint else message)
        self.message = message
        self.hint = hint


class ConfigurationError(ModelSourceError):
    """config.json describes something that is no DistilBERT we can compute."""


class CheckpointError(ModelSourceError):
    """Files are absent, damaged, not trusted, or tensors do not fit."""


class UnavailableAttentionError(ModelSourceError):
    """The attention implementation cannot run here."""
