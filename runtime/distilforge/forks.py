"""What a forked process must not destroy: an engine waits for its threads when it goes, and a fork has none of them."""

import os
from ctypes import py_object, pythonapi
from weakref import WeakSet

from distilforge.errors import EngineError

_kept: WeakSet[object] = WeakSet()


class Birthplace:
    """The process in which an engine for a GPU was opened: CUDA works in no process that is forked afterwards."""

    def __init__(self) -> None:
        self._process = os.getpid()

    @property
    def is_here(self) -> bool:
        """Whether this is that process."""
        return os.getpid() == self._process

    def check(self) -> None:
        """Raise EngineError in another process."""
        if not self.is_here:
            raise EngineError(
                f"the engine was opened in process {self._process}, from which this one was forked, and CUDA does not "
                "work in a forked process",
                hint="open the release in each process after the fork, or start processes by 'spawn'",
            )


def keep_in_children(holder: object) -> None:
    """Never destroy `holder`, nor what it refers to, in a process that is forked from now on.

    `holder` must allow weak references, and in this process it goes as ever. A child that was forked while the threads
    of ONNX Runtime slept, or with OpenVINO, would otherwise answer and then never end.
    """
    _kept.add(holder)


def _keep() -> None:
    for holder in tuple(_kept):
        # Also when Python ends, which clears everything that Python itself could hold it by
        pythonapi.Py_IncRef(py_object(holder))


# Windows has no fork
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_keep)
