"""ONNX Runtime's provider for OpenVINO on the CPU, which comes in a plug-in beside onnxruntime."""

from collections.abc import Sequence
from pathlib import Path

from distilforge import machine
from distilforge.affinity import available_cores
from distilforge.errors import UnavailableError
from distilforge.manifest import Manifest, Variant
from distilforge.onnxruntime import contexts, placement
from distilforge.onnxruntime import engine as onnxruntime_engine
from distilforge.onnxruntime.engine import OnnxRuntimeEngine
from distilforge.openvino.provider import PROVIDER, processor_devices, provider_options
from distilforge.openvino.settings import settings
from distilforge.openvino.streams import Streams
from distilforge.plugin import Plugin

PLUGIN = Plugin(
    module="onnxruntime_ep_openvino",
    install="pip install onnxruntime-ep-openvino",
    device="an Intel processor",
)


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
        self,
        variant: Variant,
        folder: Path,
        *,
        manifest: Manifest | None,
        providers: Sequence[str] | None,
        threads: int | None,
    ) -> OnnxRuntimeEngine:
        """See distilforge.backends.Backend; every node runs in OpenVINO, or it is an error."""
        self.prepare()
        if providers is not None and tuple(providers) != (PROVIDER,):
            raise UnavailableError(
                f"the variant {variant.name!r} was validated on {PROVIDER} alone, and cannot use "
                f"{', '.join(providers)}",
                hint=f"pass providers=[{PROVIDER!r}], or leave it out",
            )
        contexts.check_absent(folder, variant)
        properties = {**settings(variant), **Streams.of(threads, len(available_cores())).properties()}
        # OpenVINO has its own threads
        options = onnxruntime_engine.new_options(1)
        placement.watch(options)
        options.add_provider_for_devices(processor_devices(), provider_options(properties))
        session = onnxruntime_engine.new_session(variant, folder, options, None, enable_fallback=0)
        engine = onnxruntime_engine.engine_of(session, (PROVIDER,))
        placement.check(session, folder / variant.files[0], PROVIDER)
        return engine
