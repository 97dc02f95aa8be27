"""TensorRT's log: passed on to Python's, and its last complaints kept for our errors."""

import logging
from collections import deque
from functools import cache
from typing import Any, Protocol

_logger = logging.getLogger("distilforge")
_KEPT = 8


class Log(Protocol):
    """TensorRT's logger, as the toolkit wants it, which remembers."""

    def complaints(self) -> str:
        """What it said of what went wrong, oldest first; said once."""


# Any: a toolkit need not be installed, and has no types where it is
@cache
def log_of(toolkit: Any, name: str) -> Log:
    """The logger of this process for the `toolkit`, which takes no second; `name` begins what is passed on."""
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

        # The toolkit's name for it; it is called from the toolkit's own threads, too.
        def log(self, severity: object, message: str) -> None:
            level = levels.get(severity, logging.DEBUG)
            if level == logging.ERROR:
                self._complaints.append(message)
            # An error is raised with these words; whoever catches it decides what is shown.
            _logger.log(min(level, logging.WARNING), "%s: %s", name, message)

        def complaints(self) -> str:
            found = "; ".join(dict.fromkeys(self._complaints))
            self._complaints.clear()
            return found or f"{name} did not say why"

    recorder: Log = Recorder()
    return recorder
