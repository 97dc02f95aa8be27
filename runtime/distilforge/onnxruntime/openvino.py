"""ONNX Runtime's provider for OpenVINO on the CPU, which comes in a plug-in beside onnxruntime."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from distilforge import machine
from distilforge.errors import UnavailableError
from distilforge.manifest import Variant
from distilforge.onnxruntime import engine as onnxruntime_engine
from distilforge.onnxruntime import placement
from distilforge.onnxruntime.engine import OnnxRuntimeEngine
from distilforge.onnxruntime.plugin import Plugin, devices_of
from distilforge.openvino.settings import settings
from distilforge.openvino.streams import Streams, processors

if TYPE_CHECKING:
    import onnxruntime

PROVIDER = "OpenVINOExecutionProvider"
PLUGIN = Plugin(
    module="onnxruntime_ep_openvino",
    install="pip install onnxruntime-ep-openvino",
    device="a processor of Intel",
)
_DEVICE = "CPU"


class OnnxRuntimeOpenVino:
    """Runs ONNX graphs on the CPU with OpenVINO, through the API of ONNX Runtime."""

    def __init__(self, *, preference: int) -> None:
        self._preference = preference

    @property
    def preference(self) -> int:
        """See distilforge.backends.Backend."""
        return self._preference

    def check_settings(self, variant: Variant) -> None:
        settings(variant)

    def obstacle(self, variant: Variant) -> str | None:
        if not PLUGIN.is_installed:
            return f"{PLUGIN.module} is not installed; {PLUGIN.install}"
        try:
            self.prepare()  # only the plug-in knows which processors it supports
        except UnavailableError as error:
            return error.message
        return machine.lacking(variant.needs)

    def prepare(self) -> None:
        onnxruntime_engine.prepare()
        PLUGIN.register(PROVIDER)

    def load(
        self, variant: Variant, folder: Path, *, providers: Sequence[str] | None, threads: int | None
    ) -> OnnxRuntimeEngine:
        """See distilforge.backends.Backend; every node runs in OpenVINO, or it is an error."""
        self.prepare()
        if providers is not None and tuple(providers) != (PROVIDER,):
            raise UnavailableError(
                f"the variant {variant.name!r} was validated on {PROVIDER} alone, and cannot use "
                f"{', '.join(providers)}",
                hint=f"pass providers=[{PROVIDER!r}], or leave it out",
            )
        properties = {**settings(variant), **Streams.of(threads, processors()).properties()}
        # OpenVINO has its own threads
        options = onnxruntime_engine.new_options(1)
        placement.watch(options)
        options.add_provider_for_devices(_devices(), provider_options(properties))
        session = onnxruntime_engine.new_session(variant, folder, options, None, enable_fallback=0)
        engine = onnxruntime_engine.engine_of(session, (PROVIDER,))
        placement.check(session, folder / variant.files[0], PROVIDER)
        return engine


def new_run(
    model: bytes, properties: Mapping[str, str]
) -> Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]]:
    """A function that runs `model`, an ONNX file with one input and one output, in OpenVINO with `properties`."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.add_provider_for_devices(_devices(), provider_options(properties))
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
    return {"load_config": json.dumps({_DEVICE: dict(properties)})}


def _devices() -> "list[onnxruntime.OrtEpDevice]":
    """The processor, as the provider offers it; it may offer other devices too."""
    import onnxruntime

    return [
        device
        for device in devices_of(PROVIDER)
        if device.device.type == onnxruntime.OrtHardwareDeviceType.CPU
    ]
