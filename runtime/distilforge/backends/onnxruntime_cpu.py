"""ONNX graphs in ONNX Runtime, on the CPU."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from distilforge import machine
from distilforge.backends import backends
from distilforge.errors import UnavailableError
from distilforge.manifest import Manifest, Variant
from distilforge.onnxruntime import engine as onnxruntime_engine
from distilforge.onnxruntime.engine import OnnxRuntimeEngine
from distilforge.onnxruntime.settings import Settings

DEFAULT_PROVIDERS = (onnxruntime_engine.CPU,)


@dataclass(frozen=True, slots=True)
class OnnxRuntimeCpu:
    """Runs ONNX graphs on the CPU."""

    preference: int = 100
    """See distilforge.backends.Backend."""

    def check_settings(self, variant: Variant) -> None:
        Settings.of(variant)

    def obstacle(self, variant: Variant) -> str | None:
        if not find_spec("onnxruntime"):
            return f"onnxruntime is not installed; {onnxruntime_engine.INSTALL}"
        if not variant.needs:
            return None
        try:
            self.prepare()  # the needs are tested with onnxruntime
        except UnavailableError as error:
            return error.message
        return machine.lacking(variant.needs)

    def prepare(self) -> None:
        onnxruntime_engine.prepare()

    def load(
        self,
        variant: Variant,
        folder: Path,
        *,
        manifest: Manifest | None,
        providers: Sequence[str] | None,
        threads: int | None,
    ) -> OnnxRuntimeEngine:
        import onnxruntime

        asked = DEFAULT_PROVIDERS if providers is None else tuple(providers)
        onnxruntime_engine.check_available(asked, onnxruntime.get_available_providers())
        options = onnxruntime_engine.new_options(threads)
        session_arguments = Settings.of(variant).apply(options)
        session = onnxruntime_engine.new_session(variant, folder, options, asked, **session_arguments)
        return onnxruntime_engine.engine_of(session, asked)


backends.register("onnxruntime-cpu")(OnnxRuntimeCpu())
