"""TensorRT's log: its messages go to Python's logging, and its last errors are kept for our exceptions."""

import logging
from collections import deque
from functools import cache
from typing import Any, Protocol

_logger = logging.getLogger("distilforge")
_KEPT = 8


class Log(Protocol):
    """A logger for TensorRT that keeps the last errors."""

    def complaints(self) -> str:
        """Return the errors since the last call, oldest first."""


# Any: the toolkit may not be installed, and has no types
@cache
def log_of(toolkit: Any, name: str) -> Log:
    """The logger for `toolkit`, of which there can be one per process; `name` begins each message."""
    severity = toolkit.ILogger.Severity
    levels = {
        severity.INTERNAL_ERROR: logging.ERROR,
        severity.ERROR: logging.ERROR,
        severity.WARNING: logging.WARNING,
        severity.INFO: logging.DEBUG,
        severity.VERBOSE: logging.DEBUG,
    }

    class Recorder(toolkit.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            toolkit.ILogger.__init__(self)
            self._complaints: deque[str] = deque(maxlen=_KEPT)

        # TensorRT calls this method, from its own threads too
        def log(self, severity: object, message: str) -> None:
            level = levels.get(severity, logging.DEBUG)
            if level == logging.ERROR:
                self._complaints.append(message)
            # An exception carries the message of an error; the code that catches it decides whether to show it
            _logger.log(min(level, logging.WARNING), "%s: %s", name, message)

        def complaints(self) -> str:
            text = "; ".join(dict.fromkeys(self._complaints))
            self._complaints.clear()
            return text or f"{name} did not say why"

    recorder: Log = Recorder()
    return recorder
