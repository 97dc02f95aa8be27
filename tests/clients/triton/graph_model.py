"""Runs the graph of a package in Triton's python backend, in place of the backend for ONNX Runtime."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import onnxruntime
import triton_python_backend_utils as triton


class TritonPythonModel:
    """The graph in model.onnx."""

    def initialize(self, args: Mapping[str, str]) -> None:
        """Load the graph beside this file."""
        path = Path(args["model_repository"]) / args["model_version"] / "model.onnx"
        self._session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        self._inputs = [entry.name for entry in self._session.get_inputs()]
        self._outputs = [entry.name for entry in self._session.get_outputs()]

    def execute(self, requests: Sequence[object]) -> list[object]:
        """The outputs of each request."""
        responses = []
        for request in requests:
            feeds = {name: triton.get_input_tensor_by_name(request, name).as_numpy() for name in self._inputs}
            arrays = self._session.run(self._outputs, feeds)
            tensors = [triton.Tensor(name, array) for name, array in zip(self._outputs, arrays, strict=True)]
            responses.append(triton.InferenceResponse(output_tensors=tensors))
        return responses
