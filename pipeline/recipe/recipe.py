"""Recipe: the only configuration object of a build."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from distilforge.heads import heads
from distilforge.manifest import Span
from distilforge.manifest.consistency import name_problem

from pipeline.engines.options import EngineOptions
from pipeline.errors import UsageError
from pipeline.recipe.paths import exists, is_file
from pipeline.recipe.plan import Plan, preset
from pipeline.registry import unknown
from pipeline.store import digests
from validation.gates import Gates


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantName:
    """What identifies a variant; written `target:precision`."""

    target: str
    """What runs it: a name in pipeline.targets."""
    precision: str
    """One of the target's precisions."""

    @classmethod
    def parse(cls, text: str) -> "VariantName":
        """The variant that `text` names; UsageError if that is not written `target:precision`."""
        target, colon, precision = text.partition(":")
        if not (target and colon and precision) or ":" in precision:
            raise UsageError(
                f"a variant is target:precision, found {text!r}", hint="for example onnxruntime-cpu:fp32"
            )
        return cls(target=target, precision=precision)

    def __str__(self) -> str:
        return f"{self.target}:{self.precision}"


def check_head(name: str) -> None:
    """Raise UsageError if there is no such head."""
    if name not in heads.names():
        raise unknown("head", name, heads.names())


DEFAULT_VARIANTS = (VariantName(target="onnxruntime-cpu", precision="fp32"),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What to build. Raises UsageError for values that no build can have."""

    name: str
    """The release's name."""
    checkpoint: str = field(metadata=digests.NOT_COUNTED)
    """A folder, or the id of a model on Hugging Face's hub; it has a digest of its own."""
    head: str | None = None
    """The head to build; None for the one that config.json names."""
    variants: tuple[VariantName, ...] = DEFAULT_VARIANTS
    """The variants to build, each of them once."""
    optional: tuple[VariantName, ...] = ()
    """Variants that are withheld where a check of theirs fails; if it is another one's, nothing is published."""
    spans: Mapping[str, Span] = field(default_factory=dict)
    """The sizes of axes that differ from the defaults (pipeline.recipe.spans)."""
    calibration: Path | None = None
    """Texts that activations are measured on, .jsonl or .jsonl.gz."""
    evaluation: Path | None = None
    """Labelled data, .jsonl or .jsonl.gz; without it, only agreement with eager PyTorch is judged, on demo texts."""
    exclude: tuple[str, ...] = ()
    """Modules that the scheme of every variant leaves out, as in `Plan.exclude`."""
    plans: Path | None = None
    """A file of plans that replaces the committed ones (pipeline.recipe.plan)."""
    engine: EngineOptions = field(default_factory=EngineOptions)
    """How engines are compiled."""
    gates: Gates = field(default_factory=Gates)
    """What a variant must meet to be published."""

    def __post_init__(self) -> None:
        if problem := name_problem(self.name):
            raise UsageError(
                f"a release cannot be called {self.name!r:.300}: {problem}",
                hint="choose another name: --name sentiment",
            )
        if not self.checkpoint:
            raise UsageError("a recipe needs a checkpoint, found ''", hint="give a folder, or a hub id")
        if self.head is not None:
            check_head(self.head)
        if not self.variants:
            raise UsageError("a recipe needs at least one variant", hint=f"for example {DEFAULT_VARIANTS[0]}")
        for variant, times in Counter(self.variants).items():
            if times > 1:
                raise UsageError(f"the variant {variant} is asked for twice", hint="name it once")
        for axis, span in self.spans.items():
            if not 1 <= span.low <= span.usual <= span.high:
                raise UsageError(
                    f"the span of {axis} must rise from at least 1, found {span.low}, {span.usual}, {span.high}",
                    hint=f"for example {axis} = [1, 8, 32]: the least, the usual and the most",
                )
        for kind, path in (("evaluation", self.evaluation), ("calibration", self.calibration)):
            if path is not None and exists(path) and not is_file(path):
                raise UsageError(
                    f"{path} is a folder, a pipe or a device, and {kind} data are read more than once",
                    hint="write them into a .jsonl or .jsonl.gz file, and give that",
                )
            if path is not None and not is_file(path):
                raise UsageError(f"there is no {kind} data at {path}", hint="give a .jsonl or .jsonl.gz file")
        if self.plans is not None and not is_file(self.plans):
            raise UsageError(f"there is no file of plans {self.plans}", hint="`distilforge tune` writes one")

    @property
    def digest(self) -> str:
        """The hexadecimal SHA-256 of everything that decides what the release holds; reads the data files.

        Every field counts that does not have the metadata `digests.NOT_COUNTED`. Data files count by their content, so
        that moving one changes nothing. Of the gates, what changes the verdicts on answers counts: a release that is
        built again without a timing has the same version.
        """
        return digests.of_value({name: _json(value) for name, value in digests.counted(self).items()})

    def plan(self, variant: VariantName, head: str) -> Plan:
        """The plan of `variant` for the graph of `head`; UsageError if the file of plans is damaged."""
        return preset(variant.target, variant.precision, head, self.plans).excluding(self.exclude)


def limits(gates: Gates) -> dict[str, object]:
    """`gates` as JSON for a digest, without the mode, which changes no verdict."""
    return _as_floats(gates.used_for("answers", "timing", "speed"))


def answer_limits(gates: Gates) -> dict[str, object]:
    """The limits for answers, without those for speed."""
    return _as_floats(gates.used_for("answers"))


def timing_limits(gates: Gates) -> dict[str, object]:
    """The fields that say how speeds are measured."""
    return _as_floats(gates.used_for("timing"))


def _json(value: object) -> object:
    """The value of a field, as JSON for a digest."""
    match value:
        case Path():
            return digests.of_file(value)
        case VariantName():
            return str(value)
        case Span():
            return [value.low, value.usual, value.high]
        case EngineOptions():
            return value.to_json()
        case Gates():
            return answer_limits(value)
        case Mapping():
            return {key: _json(entry) for key, entry in value.items()}
        case tuple():
            return [_json(entry) for entry in value]
    return value


def _as_floats(values: Mapping[str, object]) -> dict[str, object]:
    """`values` with floats for whole numbers, because 0 and 0.0 are the same limit but not the same JSON."""
    return {
        name: _as_floats(value)
        if isinstance(value, dict)
        else (float(value) if isinstance(value, int) else value)
        for name, value in values.items()
    }
