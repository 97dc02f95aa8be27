"""A session of ONNX Runtime on a device, which other sessions and engines of this process use too."""

import weakref
from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from distilforge.cuda.captures import captures
from distilforge.engine import Array
from distilforge.errors import EngineError
from distilforge.forks import Birthplace
from distilforge.onnxruntime.engine import Value

if TYPE_CHECKING:
    import onnxruntime


@dataclass(slots=True, kw_only=True, eq=False)
class _Held:
    """What has memory on the device."""

    session: "onnxruntime.InferenceSession | None"
    """The session; None once it is let go."""
    bound: MutableMapping[Any, Any]
    """Arrays that it reads and writes."""

    def let_go(self) -> None:
        """Free it, if nobody else refers to it."""
        self.bound.clear()
        self.session = None


class DeviceSession:
    """A session whose runs, and whose end, wait while a CUDA graph is captured. Any thread can use it.

    A process that was forked after it was opened is told that it cannot.
    """

    def __init__(
        self, session: "onnxruntime.InferenceSession", bound: MutableMapping[Any, Any] | None = None
    ) -> None:
        """`bound` has arrays on the device, which go with the session."""
        self._held = _Held(session=session, bound={} if bound is None else bound)
        self._birthplace = Birthplace()
        weakref.finalize(self, captures.afterwards, self._held.let_go).atexit = False

    @property
    def _session(self) -> "onnxruntime.InferenceSession":
        session = self._held.session
        # Python calls finalizers of a cycle before it calls what uses the session there
        if session is None:
            raise EngineError(
                "the session was collected together with what uses it", hint="do not call it in `__del__`"
            )
        return session

    def get_providers(self) -> list[str]:
        """As the session has it."""
        providers: list[str] = self._session.get_providers()
        return providers

    def get_inputs(self) -> list[Value]:
        """As the session has it."""
        inputs: list[Value] = self._session.get_inputs()
        return inputs

    def get_outputs(self) -> list[Value]:
        """As the session has it."""
        outputs: list[Value] = self._session.get_outputs()
        return outputs

    def disable_fallback(self) -> None:
        """As the session has it."""
        self._session.disable_fallback()

    def run(self, output_names: list[str], feeds: dict[str, Array]) -> list[Array]:
        """The arrays called `output_names` for `feeds`, as the session's own method gives them.

        Raises EngineError in a process that was forked from the session's, and where Python collects the session.
        """
        self._birthplace.check()
        with captures.beside():
            arrays: list[Array] = self._session.run(output_names, feeds)
        return arrays
