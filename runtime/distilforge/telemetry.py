"""ONNX Runtime's own telemetry, which distilforge turns off unless the application chose."""

import logging
import os
import sys

VARIABLE = "ORT_DISABLE_TELEMETRY"
"""ONNX Runtime reads this variable when it is imported: with 1 it sends nothing and keeps nothing."""
_MODULE = "onnxruntime"
_logger = logging.getLogger("distilforge")


def turn_off() -> None:
    """Turn the telemetry off for this process and those that it starts, unless the variable is set.

    ONNX Runtime 1.29 and later write an identifier of the device into the user's home and send events on Linux. Their
    thread does not survive a fork, so a forked process would wait for it forever when it ends. An application that
    wants the telemetry sets the variable to 0. A warning is logged if ONNX Runtime was imported before.
    """
    if VARIABLE in os.environ:
        return
    os.environ[VARIABLE] = "1"
    if _MODULE in sys.modules:
        _logger.warning(
            "onnxruntime was imported before distilforge, so that its telemetry may be on, and a forked process may "
            "not end; import distilforge first, or set %s=1",
            VARIABLE,
        )
