"""ONNX graphs in ONNX Runtime, whatever provider computes them: what its backends share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from distilforge.errors import EngineError, ReleaseError, UnavailableError
from distilforge.feeds import Array
from distilforge.finite import check_finite
from distilforge.manifest import Variant
from distilforge.registry import nearest

if TYPE_CHECKING:
    import onnxruntime

CPU = "CPUExecutionProvider"
INSTALL = "pip install onnxruntime"

Provider = str | tuple[str, dict[str, str]]
"""A provider's name, with options where it has any."""


class _Named(Protocol):
    @property
    def name(self) -> str: ...


class InferenceSession(Protocol):
    """ONNX Runtime's own class, as far as it is used."""

    def get_providers(self) -> list[str]: ...
    def get_outputs(self) -> list[_Named]: ...
    def disable_fallback(self) -> None: ...
    def run(self, output_names: list[str], feeds: dict[str, Array]) -> list[Array]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class OnnxRuntimeEngine:
    """One ONNX Runtime session, which may be run from several threads at once; `guarded`, only numbers are answers."""

    session: InferenceSession
    providers: tuple[str, ...]
    outputs: tuple[str, ...]
    guarded: bool = False

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        try:
            arrays = self.session.run(list(self.outputs), dict(feeds))
        except Exception as cause:
            shapes = ", ".join(f"{name} {array.shape}" for name, array in feeds.items())
            raise EngineError(
                f"ONNX Runtime failed on {shapes}: {cause}", hint="smaller batches need less memory"
            ) from cause
        answered = dict(zip(self.outputs, arrays, strict=True))
        if self.guarded:
            check_finite(answered, self.providers[0])
        return answered


def prepare() -> None:
    """Import the package; UnavailableError where it fails."""
    try:
        import_module("onnxruntime")
    except ImportError as cause:
        raise UnavailableError(f"onnxruntime does not import: {cause}", hint=INSTALL) from cause


def check_available(providers: Sequence[str], available: Sequence[str]) -> None:
    """UnavailableError for one of `providers` that the installed package does not have."""
    import onnxruntime

    for provider in providers:
        if provider not in available:
            raise UnavailableError(
                f"the provider {provider!r} is not in the installed onnxruntime {onnxruntime.__version__}",
                hint=nearest(provider, tuple(available)),
            )


def new_options(threads: int | None) -> "onnxruntime.SessionOptions":
    """Options for one chain of layers, whose operators use `threads` threads, ONNX Runtime's default where None."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.inter_op_num_threads = 1  # the graph is one chain of layers; only its operators run in parallel
    if threads is not None:
        options.intra_op_num_threads = threads
    return options


def new_session(
    variant: Variant,
    folder: Path,
    options: "onnxruntime.SessionOptions",
    providers: Sequence[Provider] | None,
    **besides: object,
) -> InferenceSession:
    """The variant's first file in a session, which never changes its providers; ReleaseError where it does not load."""
    import onnxruntime

    try:
        session: InferenceSession = onnxruntime.InferenceSession(
            folder / variant.files[0], options, **_given(providers), **besides
        )
    except Exception as cause:
        raise ReleaseError(
            f"ONNX Runtime {onnxruntime.__version__} cannot load {variant.files[0]!r}: {cause}",
            hint="a graph newer than the installed onnxruntime loads after `pip install --upgrade onnxruntime`",
        ) from cause
    session.disable_fallback()
    return session


def engine_of(
    session: InferenceSession, asked: Sequence[str], *, guarded: bool = False, said: str = ""
) -> OnnxRuntimeEngine:
    """The engine of a session that uses `asked`, first choice first; UnavailableError where it uses others instead.

    `said` is what is known of why it would.
    """
    used = tuple(session.get_providers())
    if used[: len(asked)] != tuple(asked):
        raise UnavailableError(
            f"ONNX Runtime was asked for {', '.join(asked)} and uses {', '.join(used)} instead"
            + (f": {said}" if said else ""),
            hint="its log says why the provider did not start; the driver is often absent or too old",
        )
    outputs = tuple(output.name for output in session.get_outputs())
    return OnnxRuntimeEngine(session=session, providers=used, outputs=outputs, guarded=guarded)


def _given(providers: Sequence[Provider] | None) -> dict[str, list[Provider]]:
    """None leaves the choice to what the options name."""
    return {} if providers is None else {"providers": list(providers)}
