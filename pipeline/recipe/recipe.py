"""Recipe: the only configuration object of a build."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from distilforge.heads import heads
from distilforge.manifest import Span

from pipeline.engines.options import EngineOptions
from pipeline.errors import UsageError
from pipeline.recipe.plan import Plan, preset
from pipeline.registry import unknown
from pipeline.store import digests
from validation.gate import Gates


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantName:
    """Which target, in which precision; written `target:precision`."""

    target: str
    precision: str

    @classmethod
    def parse(cls, text: str) -> "VariantName":
        """The variant that `text` names; UsageError where it is not `target:precision`."""
        target, colon, precision = text.partition(":")
        if not (target and colon and precision) or ":" in precision:
            raise UsageError(
                f"a variant is target:precision, found {text!r}", hint="for example onnxruntime-cpu:fp32"
            )
        return cls(target=target, precision=precision)

    def __str__(self) -> str:
        return f"{self.target}:{self.precision}"


def check_head(name: str) -> None:
    """UsageError for a head that is not known."""
    if name not in heads.names():
        raise unknown("head", name, heads.names())


DEFAULT_VARIANTS = (VariantName(target="onnxruntime-cpu", precision="fp32"),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What to build: a checkpoint with a head, its variants, the axes' spans, data, engines' options and gates.

    `checkpoint` is a folder or a hub id; `head` None takes the one that config.json names; `spans` has the axes that
    differ from the defaults; `exclude` are modules that no variant quantizes; `plans` is a file of plans in place of
    the committed ones (pipeline.recipe.plan); without `evaluation` the demo's text serves, and only agreement with
    eager is judged. Raises UsageError for values that no build can have.
    """

    name: str
    checkpoint: str
    head: str | None = None
    variants: tuple[VariantName, ...] = DEFAULT_VARIANTS
    spans: Mapping[str, Span] = field(default_factory=dict)
    calibration: Path | None = None
    evaluation: Path | None = None
    exclude: tuple[str, ...] = ()
    plans: Path | None = None
    engine: EngineOptions = field(default_factory=EngineOptions)
    gates: Gates = field(default_factory=Gates)

    def __post_init__(self) -> None:
        if not self.name or self.name.startswith(".") or "/" in self.name or "\\" in self.name:
            raise UsageError(
                f"a release cannot be called {self.name!r}",
                hint="choose a name without slashes: --name sentiment",
            )
        if self.head is not None:
            check_head(self.head)
        if not self.variants:
            raise UsageError("a recipe needs at least one variant", hint=f"for example {DEFAULT_VARIANTS[0]}")
        for variant in self.variants:
            if self.variants.count(variant) > 1:
                raise UsageError(f"the variant {variant} is asked for twice")
        for axis, span in self.spans.items():
            if not 1 <= span.low <= span.usual <= span.high:
                raise UsageError(
                    f"the span of {axis} must rise from at least 1, found {span.low}, {span.usual}, {span.high}"
                )
        for kind, path in (("evaluation", self.evaluation), ("calibration", self.calibration)):
            if path is not None and not path.is_file():
                raise UsageError(f"there is no {kind} data at {path}", hint="give a .jsonl or .jsonl.gz file")
        if self.plans is not None and not self.plans.is_file():
            raise UsageError(f"there is no file of plans {self.plans}", hint="`distilforge tune` writes one")

    @property
    def digest(self) -> str:
        """Hexadecimal SHA-256 over all that decides what the release holds; reads the data files.

        Data files count by content and the checkpoint is digested apart, so that moving either changes nothing.
        `gates.mode` decides whether to publish, not what.
        """
        return digests.of_value(
            {
                "name": self.name,
                "head": self.head,
                "variants": [str(variant) for variant in self.variants],
                "spans": {axis: [span.low, span.usual, span.high] for axis, span in self.spans.items()},
                "calibration": digests.of_file(self.calibration) if self.calibration else None,
                "evaluation": digests.of_file(self.evaluation) if self.evaluation else None,
                "exclude": list(self.exclude),
                "plans": digests.of_file(self.plans) if self.plans else None,
                "engine": self.engine.to_json(),
                "gates": limits(self.gates),
            }
        )

    def plan(self, variant: VariantName, head: str) -> Plan:
        """What `variant` applies to the graph of `head`; UsageError where the file of plans is damaged."""
        return preset(variant.target, variant.precision, head, self.plans).excluding(self.exclude)


# Of the gates: how speeds are taken and what they are held against
_SPEED = ("latency", "speedup", "sibling_speedup", "shapes", "seconds_per_shape")


def limits(gates: Gates) -> dict[str, object]:
    """`gates` as JSON for a digest; the mode is left out, since it decides whether to publish and not what is found."""
    values = asdict(gates)
    del values["mode"]
    return _as_floats(values)


def answer_limits(gates: Gates) -> dict[str, object]:
    """Those that answers are held against, without those of speed."""
    return {name: value for name, value in limits(gates).items() if name not in _SPEED}


def timing_limits(gates: Gates) -> dict[str, object]:
    """Those that say how speeds are taken."""
    values = limits(gates)
    return {name: values[name] for name in ("shapes", "seconds_per_shape", "threads", "confidence")}


def _as_floats(values: Mapping[str, object]) -> dict[str, object]:
    """`values` with whole numbers as floats: 0 and 0.0 are the same limit, but not the same JSON."""
    return {
        name: _as_floats(value)
        if isinstance(value, dict)
        else (float(value) if isinstance(value, int) else value)
        for name, value in values.items()
    }
