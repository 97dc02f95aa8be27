"""ONNX graphs through ONNX Runtime on the CPU."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

from distilforge import machine
from distilforge.backends import backends
from distilforge.errors import EngineError, ReleaseError, UnavailableError
from distilforge.feeds import Array
from distilforge.manifest import Variant
from distilforge.onnxruntime_settings import Settings
from distilforge.registry import nearest

DEFAULT_PROVIDERS = ("CPUExecutionProvider",)
_INSTALL = "pip install onnxruntime"


class _Named(Protocol):
    @property
    def name(self) -> str: ...


class _InferenceSession(Protocol):
    def get_providers(self) -> list[str]: ...
    def get_outputs(self) -> list[_Named]: ...
    def disable_fallback(self) -> None: ...
    def run(self, output_names: list[str], feeds: dict[str, Array]) -> list[Array]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class OnnxRuntimeEngine:
    """One ONNX Runtime session, which may be run from several threads at once."""

    session: _InferenceSession
    providers: tuple[str, ...]
    outputs: tuple[str, ...]

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        try:
            arrays = self.session.run(list(self.outputs), dict(feeds))
        except Exception as cause:
            shapes = ", ".join(f"{name} {array.shape}" for name, array in feeds.items())
            raise EngineError(
                f"ONNX Runtime failed on {shapes}: {cause}", hint="smaller batches need less memory"
            ) from cause
        return dict(zip(self.outputs, arrays, strict=True))


@dataclass(frozen=True, slots=True)
class OnnxRuntimeCpu:
    """Runs wherever the onnxruntime package does."""

    preference: int = 100

    def obstacle(self, variant: Variant) -> str | None:
        if not find_spec("onnxruntime"):
            return f"onnxruntime is not installed; {_INSTALL}"
        if not variant.needs:
            return None
        try:
            self.prepare()  # needs are observed through the engine
        except UnavailableError as error:
            return error.message
        return machine.lacking(variant.needs)

    def prepare(self) -> None:
        try:
            import_module("onnxruntime")
        except ImportError as cause:
            raise UnavailableError(f"onnxruntime does not import: {cause}", hint=_INSTALL) from cause

    def load(
        self, variant: Variant, folder: Path, *, providers: Sequence[str] | None, threads: int | None
    ) -> OnnxRuntimeEngine:
        import onnxruntime

        asked = DEFAULT_PROVIDERS if providers is None else tuple(providers)
        available = tuple(onnxruntime.get_available_providers())
        for provider in asked:
            if provider not in available:
                raise UnavailableError(
                    f"the provider {provider!r} is not in the installed onnxruntime {onnxruntime.__version__}",
                    hint=nearest(provider, available),
                )
        options = onnxruntime.SessionOptions()
        options.inter_op_num_threads = (
            1  # the graph is one chain of layers; only its operators run in parallel
        )
        if threads is not None:
            options.intra_op_num_threads = threads
        besides = Settings.of(variant).apply(options)
        path = folder / variant.files[0]
        try:
            session: _InferenceSession = onnxruntime.InferenceSession(
                path, options, providers=list(asked), **besides
            )
        except Exception as cause:
            raise ReleaseError(
                f"ONNX Runtime {onnxruntime.__version__} cannot load {variant.files[0]!r}: {cause}",
                hint="a graph newer than the installed onnxruntime loads after `pip install --upgrade onnxruntime`",
            ) from cause
        session.disable_fallback()
        used = tuple(session.get_providers())
        if used[: len(asked)] != asked:
            raise UnavailableError(
                f"ONNX Runtime was asked for {', '.join(asked)} and uses {', '.join(used)} instead",
                hint="its log says why the provider did not start; the driver is often absent or too old",
            )
        outputs = tuple(output.name for output in session.get_outputs())
        return OnnxRuntimeEngine(session=session, providers=used, outputs=outputs)


backends.register("onnxruntime-cpu")(OnnxRuntimeCpu())
