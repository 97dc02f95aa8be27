"""Runs a graph of one matrix product in OpenVINO, by which a machine shows how it computes."""

import io
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from distilforge.openvino import package
from distilforge.openvino.package import DEVICE
from distilforge.openvino.provider import new_run
from distilforge.openvino.settings import PRECISION

Floats = npt.NDArray[np.float32]
_ONE_THREAD = {"NUM_STREAMS": "1", "INFERENCE_NUM_THREADS": "1", "ENABLE_CPU_PINNING": "NO"}


def runner(model: bytes, precision: str) -> Callable[[Floats], Floats]:
    """A function that runs `model`, an ONNX file with one input and one output, in `precision`.

    It runs in the package openvino, or where that is not installed, in ONNX Runtime's plug-in, which has the same
    kernels.
    """
    properties = {PRECISION: precision, **_ONE_THREAD}
    if not package.is_installed():
        return new_run(model, properties)
    core = package.core()
    request = core.compile_model(
        core.read_model(io.BytesIO(model)), DEVICE, properties
    ).create_infer_request()

    def run(activations: Floats) -> Floats:
        product: Floats = request.infer([activations])[0]
        return product

    return run


def precision_used(model: bytes, precision: str) -> str:
    """The precision in which the package openvino computes `model` when it is asked for `precision`."""
    core = package.core()
    properties = {PRECISION: precision, **_ONE_THREAD}
    compiled = core.compile_model(core.read_model(io.BytesIO(model)), DEVICE, properties)
    name: str = compiled.get_property(PRECISION).get_type_name()
    return name
