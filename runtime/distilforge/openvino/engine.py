"""A compiled model of OpenVINO, which several threads can run at once."""

from collections.abc import Mapping, Sequence
from queue import Empty, SimpleQueue
from typing import Protocol

from distilforge.engine import Array
from distilforge.errors import EngineError
from distilforge.manifest import Tensor
from distilforge.openvino.package import DEVICE


class InferRequest(Protocol):
    """The methods of OpenVINO's class that are used here."""

    def infer(
        self, inputs: dict[str, Array], *, share_inputs: bool, share_outputs: bool
    ) -> Mapping[int, Array]: ...


class CompiledModel(Protocol):
    """The methods of OpenVINO's class that are used here."""

    def create_infer_request(self) -> InferRequest: ...


class OpenVinoEngine:
    """Runs a compiled model; each run has a request of its own, and requests are used again."""

    def __init__(
        self, compiled: CompiledModel, *, inputs: Sequence[Tensor], outputs: Sequence[Tensor]
    ) -> None:
        self._compiled = compiled
        self._inputs, self._outputs = tuple(inputs), tuple(outputs)
        self._idle: SimpleQueue[InferRequest] = SimpleQueue()
        # A request takes memory and time, so the first one is made while the release is opened
        self._idle.put(compiled.create_infer_request())

    @property
    def providers(self) -> tuple[str, ...]:
        return (DEVICE,)

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        return self._inputs

    @property
    def outputs(self) -> tuple[Tensor, ...]:
        return self._outputs

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """See distilforge.backends.Engine."""
        try:
            request = self._idle.get_nowait()
        except Empty:
            request = self._compiled.create_infer_request()
        try:
            # The request's own arrays are written again by its next run, so outputs are copied
            results = request.infer(dict(feeds), share_inputs=True, share_outputs=False)
            return {output.name: results[index] for index, output in enumerate(self._outputs)}
        except Exception as cause:
            shapes = ", ".join(f"{name} {array.shape}" for name, array in feeds.items())
            raise EngineError(
                f"OpenVINO failed on {shapes}: {cause}", hint="smaller batches need less memory"
            ) from cause
        finally:
            self._idle.put(request)
