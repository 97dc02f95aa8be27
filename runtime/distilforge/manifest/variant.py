"""One variant of a release: a target with a precision."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from distilforge.manifest.document import READER
from distilforge.manifest.tensors import Span
from distilforge.manifest.timing import Measurement
from distilforge.manifest.verdicts import Metric, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class PassRecord:
    """A pass that was applied to the graph."""

    name: str
    """Its name."""
    rewrites: int
    """How many rewrites it made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledEngine:
    """An engine that a compiler made of the variant's graph."""

    flavour: str
    """The compiler, by the name that its users know."""
    version: str
    """The compiler's version."""
    capabilities: tuple[str, ...]
    """The compute capabilities that it runs on: "8.6", or "8.0+" for that and later ones."""
    profiles: tuple[Mapping[str, Span], ...]
    """The sizes of every dynamic axis, for each optimization profile."""
    precisions: Mapping[str, int]
    """How many layers compute in each type."""
    bytes: int
    """Its size."""
    activation_bytes: int | None
    """Memory for activations at the largest sizes; None if the compiler does not report it."""
    build_seconds: float
    """How long it took to compile, on the machine that built it."""
    options: Mapping[str, str] = field(default_factory=dict)
    """The compiler's options that differ from the defaults, by name."""
    warnings: tuple[str, ...] = ()
    """The compiler's warnings, each once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One target with one precision: its files, and how it was judged and timed."""

    target: str
    """What runs it, such as `onnxruntime-cpu`."""
    precision: str
    """Such as `fp32`."""
    files: tuple[str, ...]
    """Its files, relative to the release; the first one is loaded."""
    passes: tuple[PassRecord, ...] = ()
    """The passes that were applied, in order."""
    needs: tuple[str, ...] = ()
    """What a machine must have to give the validated answers (distilforge.machine)."""
    session: Mapping[str, str] = field(default_factory=dict)
    """The engine's settings that the variant was measured with."""
    oracle: str = ""
    """For a variant that needs a device, its ONNX graph that ONNX Runtime's CPU provider can run; otherwise empty."""
    compiled: CompiledEngine | None = None
    """The engine that was compiled of the graph; None if the graph itself is the artifact."""
    notes: tuple[str, ...] = ()
    """What a reader must know before deploying it."""
    widened: tuple[str, ...] = ()
    """The limits that it was held to and that are wider than usual, a phrase each."""
    validated: bool = False
    """Whether it passed validation."""
    metrics: tuple[Metric, ...] = ()
    """The task's metrics."""
    verdicts: tuple[Verdict, ...] = ()
    """The result of every check."""
    measurements: tuple[Measurement, ...] = ()
    """Its timed runs, and those of eager PyTorch beside it."""

    @property
    def name(self) -> str:
        """Written `target:precision`."""
        return f"{self.target}:{self.precision}"

    @property
    def needs_gpu(self) -> bool:
        """Whether it runs on a GPU: an engine that was compiled for one, or a graph with an oracle for the CPU."""
        return self.compiled is not None or bool(self.oracle)

    def to_json(self) -> str:
        """The variant as a JSON document."""
        return json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str, path: str = "variant.json") -> "Variant":
        """The variant in `text`; ReleaseError naming the field that is missing or does not fit."""
        return READER.read_json(cls, text, path)
