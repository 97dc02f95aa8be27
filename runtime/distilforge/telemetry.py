"""ONNX Runtime's own telemetry, which distilforge turns off unless the application chose."""

import os

VARIABLE = "ORT_DISABLE_TELEMETRY"
"""ONNX Runtime reads this variable when it is imported: with 1 it sends nothing and keeps nothing."""


def turn_off() -> None:
    """Turn the telemetry off for this process and those that it starts, unless the variable is set.

    ONNX Runtime 1.29 and later write an identifier of the device into the user's home and send events on Linux. Their
    thread does not survive a fork, so a forked process would wait for it forever when it ends. An application that
    wants the telemetry sets the variable to 0.
    """
    os.environ.setdefault(VARIABLE, "1")
