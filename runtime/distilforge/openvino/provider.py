"""ONNX Runtime's provider for OpenVINO: its devices and options, once its plug-in is registered."""

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from distilforge.openvino.package import DEVICE
from distilforge.plugin import devices_of

if TYPE_CHECKING:
    import onnxruntime

PROVIDER = "OpenVINOExecutionProvider"


def new_run(
    model: bytes, properties: Mapping[str, str]
) -> Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]]:
    """A function that runs `model`, an ONNX file with one input and one output, in OpenVINO with `properties`."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.add_provider_for_devices(processor_devices(), provider_options(properties))
    session = onnxruntime.InferenceSession(model, options)
    (read,) = session.get_inputs()

    def run(array: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        result: npt.NDArray[np.float32] = session.run(None, {read.name: array})[0]
        return result

    return run


def provider_options(properties: Mapping[str, str]) -> dict[str, str]:
    """The provider's options that give OpenVINO `properties`.

    The provider has options of the same meaning, such as `precision`, which do not change what the CPU computes in.
    """
    return {"load_config": json.dumps({DEVICE: dict(properties)})}


def processor_devices() -> "list[onnxruntime.OrtEpDevice]":
    """The processor, as the provider offers it; it may offer other devices too."""
    import onnxruntime

    return [
        device
        for device in devices_of(PROVIDER)
        if device.device.type == onnxruntime.OrtHardwareDeviceType.CPU
    ]
