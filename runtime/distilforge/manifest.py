"""The manifest: what a release holds, how it was checked and where it came from.

The format's specification is artifacts/README.md; its JSON Schema is manifest.schema.json beside this file.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from itertools import accumulate
from typing import Literal

from distilforge.errors import ReleaseError
from distilforge.json_fields import Fields, read_dimension, read_number, read_text

SCHEMA = 1
Comparison = Literal["at most", "at least"]
Outcome = Literal["met", "not met", "not settled"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Lowest, usual and highest size of one dynamic axis."""

    low: int
    usual: int
    high: int

    def __contains__(self, size: int) -> bool:
        return self.low <= size <= self.high


@dataclass(frozen=True, slots=True, kw_only=True)
class Tensor:
    """A graph input or output: numpy dtype name, and a size or an axis name per dimension."""

    name: str
    dtype: str
    shape: tuple[int | str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRecord:
    """Digest (hexadecimal SHA-256) and size in bytes of one file."""

    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PassRecord:
    """A pass that was applied and how many rewrites it made."""

    name: str
    rewrites: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One check's outcome, with the number, the limit and why the limit is what it is; false only where it failed."""

    check: str
    """What was checked, in words."""
    observed: float
    """The number that is held against the limit; for statistics, the unfavourable end of the interval."""
    comparison: Comparison
    """On which side of the limit the observed must lie."""
    limit: float
    """The bound, in the same unit."""
    unit: str
    """Of observed and limit."""
    reason: str
    """Why the limit is what it is."""
    interval: tuple[float, float] | None = None
    """Both ends, each one-sided; None for what is counted and not estimated."""
    kind: str = ""
    """Which check it is, for programs: the same word for every variant and release; empty in older releases."""
    settled: bool = True
    """False where the measurement cannot tell, which is neither a failure nor a claim."""

    @property
    def outcome(self) -> Outcome:
        """What the check came to."""
        if not self.settled:
            return "not settled"
        within = self.observed <= self.limit if self.comparison == "at most" else self.observed >= self.limit
        return "met" if within else "not met"

    def __bool__(self) -> bool:
        return self.outcome != "not met"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """Every timed run of one subject at one shape."""

    subject: str
    """A variant's name, or `eager`."""
    batch: int
    """Texts in the batch."""
    tokens: int
    """Tokens of every text."""
    seconds: tuple[float, ...]
    """Of each run, in the order taken."""
    runs: tuple[int, ...] = ()
    """How many of the runs each round holds, in order; empty where every round is one run."""

    @property
    def rounds(self) -> tuple[tuple[float, ...], ...]:
        """The seconds of each round."""
        if not self.runs:
            return tuple((taken,) for taken in self.seconds)
        ends = tuple(accumulate(self.runs))
        return tuple(self.seconds[end - count : end] for end, count in zip(ends, self.runs, strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class Steadiness:
    """Whether a timing can be relied on, and what was seen of the machine while it was taken.

    A figure that the system does not tell is None.
    """

    steady: bool
    """Only then are times and ratios claimed."""
    reasons: tuple[str, ...]
    """Why it is not steady, a clause each; empty where it is."""
    rounds: int
    """How often every subject had its turn at every shape."""
    apart: tuple[int, ...] = ()
    """The rounds, from 0, that ratios leave out, since the two cores shared no cache in them."""
    spread: float = 0.0
    """Of the subject and shape whose rounds differ most: the interquartile range by the median."""
    others_cores: float | None = None
    """Processor seconds a second that other processes took, on average."""
    stolen_cores: float | None = None
    """Processor seconds a second that the hypervisor took, on average."""
    interruptions: float | None = None
    """Involuntary context switches of the subjects a second, on average."""
    megahertz: tuple[float, float] | None = None
    """The lowest and the highest clock that was seen."""
    round_trip_nanoseconds: tuple[float, float] | None = None
    """The shortest and the longest time of a message between two cores and back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A task metric on the evaluation data, of eager PyTorch and of the variant."""

    name: str
    eager: float
    variant: float
    examples: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledEngine:
    """What a compiler made of a graph: where it runs, which sizes it takes, what it costs.

    flavour: the compiler, as users call it. version: its version. capabilities: the compute capabilities it is for,
    "8.6", or "8.0+" for that and later ones. profiles: sizes of every dynamic axis, a profile each. precisions: layers
    by the type they compute. activation_bytes: memory for activations at the largest sizes, None where the compiler
    does not say. build_seconds: on the machine that built it. options: what the compiler was told, by name. warnings:
    the compiler's own, each once.
    """

    flavour: str
    version: str
    capabilities: tuple[str, ...]
    profiles: tuple[Mapping[str, Span], ...]
    precisions: Mapping[str, int]
    bytes: int
    activation_bytes: int | None
    build_seconds: float
    options: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One target x precision: its files (relative paths, the one to load first) and how it fared.

    passes: what was applied, in order. needs: what a machine must have for the answers to be those that were
    validated (distilforge.machine). session: the engine's settings that the variant was measured with. oracle: the
    one of its files that is an ONNX graph which ONNX Runtime's CPU provider can answer with, where the variant itself
    needs a device; empty for others. compiled: what its compiler made, None where the graph itself is the artifact.
    notes: what a reader must know before deploying it.
    """

    target: str
    precision: str
    files: tuple[str, ...]
    passes: tuple[PassRecord, ...] = ()
    needs: tuple[str, ...] = ()
    session: Mapping[str, str] = field(default_factory=dict)
    oracle: str = ""
    compiled: CompiledEngine | None = None
    notes: tuple[str, ...] = ()
    validated: bool = False
    metrics: tuple[Metric, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    measurements: tuple[Measurement, ...] = ()

    @property
    def name(self) -> str:
        return f"{self.target}:{self.precision}"

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str, path: str = "variant.json") -> "Variant":
        """The variant in `text`; ReleaseError naming the field that is missing or misshapen."""
        return _read_variant(Fields.parse(text, path))


@dataclass(frozen=True, slots=True, kw_only=True)
class Withheld:
    """A variant that was built and measured, and is not in the release; `reason` is a sentence with the numbers."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Where a release came from; digests are hexadecimal SHA-256."""

    checkpoint_sha256: str
    recipe_sha256: str
    git_commit: str
    tools: Mapping[str, str]
    host: str
    created: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """One release: one checkpoint with one head, in one or more variants."""

    name: str
    version: str
    head: str
    labels: tuple[str, ...]
    problem_type: str | None
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    spans: Mapping[str, Span]
    variants: tuple[Variant, ...]
    files: Mapping[str, FileRecord]
    provenance: Provenance
    withheld: tuple[Withheld, ...] = ()
    timing: Steadiness | None = None
    schema: int = SCHEMA

    @property
    def validated(self) -> bool:
        return all(variant.validated for variant in self.variants)

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str, path: str = "manifest.json") -> "Manifest":
        """The manifest in `text`; ReleaseError naming the field that is missing, misshapen or too new."""
        fields = Fields.parse(text, path)
        schema = fields.integer("schema")
        if schema > SCHEMA:
            raise ReleaseError(
                f"{path} has schema {schema}; this distilforge reads schemas up to {SCHEMA}",
                hint="pip install --upgrade distilforge",
            )
        return cls(
            schema=schema,
            name=fields.text("name"),
            version=fields.text("version"),
            head=fields.text("head"),
            labels=fields.list("labels", read_text),
            problem_type=fields.text("problem_type") if fields.has("problem_type") else None,
            inputs=fields.list("inputs", read_tensor),
            outputs=fields.list("outputs", read_tensor),
            spans=fields.map("spans", read_span),
            variants=fields.list("variants", _variant),
            files=fields.map("files", _file),
            provenance=_provenance(fields.nested("provenance")),
            withheld=fields.list("withheld", _withheld) if fields.has("withheld") else (),
            timing=read_steadiness(fields.nested("timing")) if fields.has("timing") else None,
        )


def read_tensor(value: object, path: str) -> Tensor:
    """The Tensor in JSON\'s `value`; ReleaseError naming `path` where it does not fit."""
    fields = Fields(value, path)
    return Tensor(
        name=fields.text("name"), dtype=fields.text("dtype"), shape=fields.list("shape", read_dimension)
    )


def read_span(value: object, path: str) -> Span:
    """The Span in JSON\'s `value`; ReleaseError naming `path` where it does not fit."""
    fields = Fields(value, path)
    return Span(low=fields.integer("low"), usual=fields.integer("usual"), high=fields.integer("high"))


def _file(value: object, path: str) -> FileRecord:
    fields = Fields(value, path)
    return FileRecord(sha256=fields.text("sha256"), bytes=fields.integer("bytes"))


def _pass(value: object, path: str) -> PassRecord:
    fields = Fields(value, path)
    return PassRecord(name=fields.text("name"), rewrites=fields.integer("rewrites"))


def read_verdict(value: object, path: str) -> Verdict:
    """The Verdict in JSON\'s `value`; ReleaseError naming `path` where it does not fit."""
    fields = Fields(value, path)
    comparison = fields.text("comparison")
    if comparison not in ("at most", "at least"):
        raise ReleaseError(f"{path}.comparison must be 'at most' or 'at least', found {comparison!r}")
    interval = fields.list("interval", read_number) if fields.has("interval") else None
    if interval is not None and len(interval) != 2:
        raise ReleaseError(f"{path}.interval must hold two numbers, found {len(interval)}")
    return Verdict(
        check=fields.text("check"),
        observed=fields.number("observed"),
        comparison="at most" if comparison == "at most" else "at least",
        limit=fields.number("limit"),
        unit=fields.text("unit"),
        reason=fields.text("reason"),
        interval=None if interval is None else (interval[0], interval[1]),
        kind=fields.text("kind") if fields.has("kind") else "",
        settled=fields.flag("settled") if fields.has("settled") else True,
    )


def read_measurement(value: object, path: str) -> Measurement:
    """The Measurement in JSON\'s `value`; ReleaseError naming `path` where it does not fit."""
    fields = Fields(value, path)
    seconds = fields.list("seconds", read_number)
    runs = fields.list("runs", _count) if fields.has("runs") else ()
    if runs and (sum(runs) != len(seconds) or min(runs) < 1):
        raise ReleaseError(f"{path}.runs must add up to the {len(seconds)} seconds, found {sum(runs)}")
    return Measurement(
        subject=fields.text("subject"),
        batch=fields.integer("batch"),
        tokens=fields.integer("tokens"),
        seconds=seconds,
        runs=runs,
    )


def read_steadiness(fields: Fields) -> Steadiness:
    """The Steadiness in `fields`; ReleaseError naming the field that does not fit."""
    return Steadiness(
        steady=fields.flag("steady"),
        reasons=fields.list("reasons", read_text),
        rounds=fields.integer("rounds"),
        apart=fields.list("apart", _count) if fields.has("apart") else (),
        spread=fields.number("spread"),
        others_cores=fields.number("others_cores") if fields.has("others_cores") else None,
        stolen_cores=fields.number("stolen_cores") if fields.has("stolen_cores") else None,
        interruptions=fields.number("interruptions") if fields.has("interruptions") else None,
        megahertz=_pair(fields, "megahertz"),
        round_trip_nanoseconds=_pair(fields, "round_trip_nanoseconds"),
    )


def _pair(fields: Fields, name: str) -> tuple[float, float] | None:
    if not fields.has(name):
        return None
    numbers = fields.list(name, read_number)
    if len(numbers) != 2:
        raise ReleaseError(f"{name} must hold two numbers, found {len(numbers)}")
    return numbers[0], numbers[1]


def read_metric(value: object, path: str) -> Metric:
    """The Metric in JSON\'s `value`; ReleaseError naming `path` where it does not fit."""
    fields = Fields(value, path)
    return Metric(
        name=fields.text("name"),
        eager=fields.number("eager"),
        variant=fields.number("variant"),
        examples=fields.integer("examples"),
    )


def _variant(value: object, path: str) -> Variant:
    return _read_variant(Fields(value, path))


def _read_variant(fields: Fields) -> Variant:
    return Variant(
        target=fields.text("target"),
        precision=fields.text("precision"),
        files=fields.list("files", read_text),
        passes=fields.list("passes", _pass),
        needs=fields.list("needs", read_text) if fields.has("needs") else (),
        session=fields.map("session", read_text) if fields.has("session") else {},
        oracle=fields.text("oracle") if fields.has("oracle") else "",
        compiled=_compiled(fields.nested("compiled")) if fields.has("compiled") else None,
        notes=fields.list("notes", read_text) if fields.has("notes") else (),
        validated=fields.flag("validated"),
        metrics=fields.list("metrics", read_metric),
        verdicts=fields.list("verdicts", read_verdict),
        measurements=fields.list("measurements", read_measurement),
    )


def _compiled(fields: Fields) -> CompiledEngine:
    return CompiledEngine(
        flavour=fields.text("flavour"),
        version=fields.text("version"),
        capabilities=fields.list("capabilities", read_text),
        profiles=fields.list("profiles", _profile),
        precisions=fields.map("precisions", _count),
        bytes=fields.integer("bytes"),
        activation_bytes=fields.integer("activation_bytes") if fields.has("activation_bytes") else None,
        build_seconds=fields.number("build_seconds"),
        options=fields.map("options", read_text),
        warnings=fields.list("warnings", read_text),
    )


def _profile(value: object, path: str) -> Mapping[str, Span]:
    return Fields({"profile": value}, path).map("profile", read_span)


def _count(value: object, path: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise ReleaseError(f"{path} must be a whole number, found {value!r:.80}")
    return value


def _withheld(value: object, path: str) -> Withheld:
    fields = Fields(value, path)
    return Withheld(name=fields.text("name"), reason=fields.text("reason"))


def _provenance(fields: Fields) -> Provenance:
    return Provenance(
        checkpoint_sha256=fields.text("checkpoint_sha256"),
        recipe_sha256=fields.text("recipe_sha256"),
        git_commit=fields.text("git_commit"),
        tools=fields.map("tools", read_text),
        host=fields.text("host"),
        created=fields.text("created"),
    )
