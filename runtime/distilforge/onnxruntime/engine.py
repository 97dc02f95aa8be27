"""Sessions of ONNX Runtime, which its backends share, whichever provider computes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from distilforge import kept_tokens
from distilforge.checks import onnx_file
from distilforge.checks.outputs import check_finite
from distilforge.engine import Array
from distilforge.errors import DistilforgeError, EngineError, ReleaseError, UnavailableError
from distilforge.manifest import Tensor, Variant
from distilforge.registry import nearest
from distilforge.versions import is_older

if TYPE_CHECKING:
    import onnxruntime

CPU = "CPUExecutionProvider"
OLDEST = "1.21.1"
"""The oldest version that is used: 1.20.0 to 1.21.0 give texts of a batch the attention mask of another text."""
INSTALL = f"pip install 'onnxruntime>={OLDEST}'"

# ONNX's names of the types that have another name in numpy
_DTYPES = {"float": "float32", "double": "float64"}

SILENT = 4
"""The severity of ONNX Runtime's messages that a session prints: only what ends the process.

It prints the names of nodes and weights as a graph has them, and a terminal would obey them. Errors are raised anyway.
"""

Provider = str | tuple[str, dict[str, str]]
"""A provider's name, or a name and options."""


class Value(Protocol):
    """An input or output, as ONNX Runtime describes it."""

    @property
    def name(self) -> str: ...
    @property
    def type(self) -> str: ...
    @property
    def shape(self) -> Sequence[int | str | None]: ...


class InferenceSession(Protocol):
    """The methods of ONNX Runtime's class that are used here."""

    def get_providers(self) -> list[str]: ...
    def get_inputs(self) -> list[Value]: ...
    def get_outputs(self) -> list[Value]: ...
    def disable_fallback(self) -> None: ...
    def run(self, output_names: list[str], feeds: dict[str, Array]) -> list[Array]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class OnnxRuntimeEngine:
    """One session of ONNX Runtime, which several threads can run at once."""

    session: InferenceSession
    """The session."""
    providers: tuple[str, ...]
    """The providers that the session uses, first choice first."""
    inputs: tuple[Tensor, ...]
    """The inputs, as the graph declares them."""
    outputs: tuple[Tensor, ...]
    """The outputs, as the graph declares them."""
    drops_padding: bool = False
    """Whether the graph asks for the kept tokens (distilforge.kept_tokens)."""
    guarded: bool = False
    """Whether NaN and infinity in an output are an error."""

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        if self.drops_padding:
            feeds = kept_tokens.complete(feeds)
        try:
            arrays = self.session.run([output.name for output in self.outputs], dict(feeds))
        except DistilforgeError:
            raise
        except Exception as cause:
            shapes = ", ".join(f"{name} {array.shape}" for name, array in feeds.items())
            raise EngineError(
                f"ONNX Runtime failed on {shapes}: {cause}", hint="smaller batches need less memory"
            ) from cause
        outputs = {output.name: array for output, array in zip(self.outputs, arrays, strict=True)}
        if self.guarded:
            check_finite(outputs, self.providers[0])
        return outputs


def prepare() -> None:
    """Import the package; UnavailableError where it fails, or where the package is older than OLDEST."""
    try:
        version = import_module("onnxruntime").__version__
    except ImportError as cause:
        raise UnavailableError(f"onnxruntime does not import: {cause}", hint=INSTALL) from cause
    if is_older(version, OLDEST):
        raise UnavailableError(
            f"onnxruntime {version} is too old: versions before {OLDEST} give wrong answers, without an error, for "
            "batches of texts of different lengths",
            hint=INSTALL,
        )


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
    """Session options, with `threads` threads for each operator, None for ONNX Runtime's default."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = SILENT
    options.inter_op_num_threads = (
        1  # the graph is one chain of layers, so its operators cannot run in parallel
    )
    if threads is not None:
        options.intra_op_num_threads = threads
    return options


def new_session(
    variant: Variant,
    folder: Path,
    options: "onnxruntime.SessionOptions",
    providers: Sequence[Provider] | None,
    **session_arguments: object,
) -> InferenceSession:
    """Load the variant's first file into a session with fixed providers; ReleaseError where it does not load.

    It does not load if it keeps weights in a file that is not one of the variant's.
    """
    import onnxruntime

    onnx_file.check(folder, variant, variant.files[0])
    try:
        session: InferenceSession = onnxruntime.InferenceSession(
            folder / variant.files[0], options, **_provider_argument(providers), **session_arguments
        )
    except Exception as cause:
        raise ReleaseError(
            f"ONNX Runtime {onnxruntime.__version__} cannot load {variant.files[0]!r}: {cause}",
            hint="a newer graph may need `pip install --upgrade onnxruntime`",
        ) from cause
    session.disable_fallback()
    return session


def engine_of(
    session: InferenceSession, asked: Sequence[str], *, guarded: bool = False, reason: str = ""
) -> OnnxRuntimeEngine:
    """The engine of `session`; UnavailableError where the session uses other providers than `asked`.

    `reason` is a known reason for that, as a clause.
    """
    used = tuple(session.get_providers())
    if used[: len(asked)] != tuple(asked):
        raise UnavailableError(
            f"ONNX Runtime was asked for {', '.join(asked)} and uses {', '.join(used)} instead"
            + (f": {reason}" if reason else ""),
            hint="its log says why the provider did not start; the driver is often absent or too old",
        )
    reported = tuple(map(_tensor, session.get_inputs()))
    inputs = kept_tokens.without(reported)
    return OnnxRuntimeEngine(
        session=session,
        providers=used,
        inputs=inputs,
        outputs=tuple(map(_tensor, session.get_outputs())),
        drops_padding=len(inputs) < len(reported),
        guarded=guarded,
    )


def _tensor(value: Value) -> Tensor:
    """The manifest's form of an input or output, whose type reads "tensor(int64)"."""
    name = value.type.removeprefix("tensor(").removesuffix(")")
    return Tensor(
        name=value.name,
        dtype=_DTYPES.get(name, name),
        shape=tuple("" if size is None else size for size in value.shape),
    )


def _provider_argument(providers: Sequence[Provider] | None) -> dict[str, list[Provider]]:
    """The argument `providers` of a session; no argument where the session options name the devices."""
    return {} if providers is None else {"providers": list(providers)}
