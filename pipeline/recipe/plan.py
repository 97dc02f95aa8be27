"""Plan: what a target applies to a graph for one precision. Presets are plans that were chosen by measurement.

A file of plans is TOML with a table for each precision. Its table `heads` has what differs for a head:

[int8]
passes = ["attention_scale", "flatten_tokens"]
scheme = "int8_static"
final_passes = ["integer_matmul"]

[int8.heads.sequence_classification]
passes = ["attention_scale", "first_token", "flatten_tokens"]

A target can take the plans of another one: pipeline.targets.Target.plans.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path

from distilforge.backends import backends
from distilforge.errors import ReleaseError
from distilforge.heads import heads as known_heads
from distilforge.manifest import Variant
from distilforge.reader import MisfitError, Reader

from pipeline import targets
from pipeline.errors import OptionError, UsageError
from pipeline.recipe.toml_file import read_tables
from pipeline.registry import suggestion, unknown

CALIBRATIONS = ("minmax", "percentile", "entropy", "mse")
BITS = 8
_WIDTHS = (7, BITS)
# The precision of a graph that no scheme has changed
PLAIN = "fp32"
PRESETS = Path(__file__).parent / "presets"
_HEADS = "heads"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Passes, then a scheme that writes the precision, then more passes that write the target's own operators.

    Raises UsageError for values that no plan can have.
    """

    passes: tuple[str, ...] = ()
    """Passes that are applied first: names in pipeline.passes."""
    scheme: str = ""
    """How the precision is written: a name in pipeline.precision; empty to stay in fp32."""
    calibration: str = "minmax"
    """How the ranges of activations are chosen: one of CALIBRATIONS."""
    smoothing: float = 0.0
    """How much of an activation's outliers moves into the weights, from 0 for none to 1 for all.

    It is alpha in equation 4 of Xiao et al. 2023, SmoothQuant.
    """
    smoothed: tuple[str, ...] = ("*",)
    """The modules whose inputs are smoothed, named as in `exclude`."""
    weight_bits: int = BITS
    """8, or 7 for CPUs whose int8 products saturate."""
    exact_pairs: bool = False
    """Whether 8-bit weights are rounded so that products are exact on CPUs without VNNI too."""
    signed_activations: bool = False
    """Whether activations are stored signed with the zero point 0, which is all that TensorRT takes."""
    quantize_attention: bool = False
    """Whether the two products of attention are quantized too; needs unsigned activations."""
    exclude: tuple[str, ...] = ()
    """Modules that the scheme leaves out: Hugging Face's names, with "*" for anything.

    They are linear layers and embedding tables, and attentions where `quantize_attention` is set. They compute in fp32,
    or in fp16 in a graph of 8-bit products with fp16 around them.
    """
    final_passes: tuple[str, ...] = ()
    """Passes that are applied last: names in pipeline.passes."""
    session: Mapping[str, str] = field(default_factory=dict)
    """Settings of the engine: those that the target's backend allows."""
    needs: tuple[str, ...] = ()
    """What a machine must have to give the validated answers (distilforge.machine)."""

    def __post_init__(self) -> None:
        if self.calibration not in CALIBRATIONS:
            raise OptionError(
                "unknown {calibration} {found!r}; known: {known}",
                hint=suggestion(self.calibration, CALIBRATIONS),
                found=self.calibration,
                known=", ".join(CALIBRATIONS),
            )
        if self.weight_bits not in _WIDTHS:
            raise OptionError(
                "{weight_bits} must be {widths}, found {found}",
                widths=" or ".join(map(str, _WIDTHS)),
                found=self.weight_bits,
                hint="leave it out for 8",
            )
        if self.exact_pairs and self.weight_bits != BITS:
            raise OptionError(
                "{exact_pairs} bounds weights of {bits} bits, found {weight_bits} {found}",
                bits=BITS,
                found=self.weight_bits,
                hint="leave one of them out: products of 7-bit weights are exact anyway",
            )
        if not 0 <= self.smoothing <= 1:
            raise OptionError(
                "{smoothing} must lie between 0 and 1, found {found}",
                found=self.smoothing,
                hint="0 is none of it, and 0.5 to 0.8 are usual",
            )
        if self.signed_activations and self.quantize_attention:
            raise OptionError(
                "{quantize_attention} makes queries and softmax unsigned, and {signed_activations} forbids it",
                hint="leave one of them out",
            )

    def to_json(self) -> dict[str, object]:
        """The plan as JSON, for digests and files."""
        return asdict(self)

    def excluding(self, modules: Sequence[str]) -> "Plan":
        """The same plan with `modules` in floating point too; a plan that quantizes nothing does not change."""
        if not self.scheme:
            return self
        return replace(self, exclude=tuple(dict.fromkeys([*self.exclude, *modules])))


def preset(target: str, precision: str, head: str, own: Path | None = None) -> Plan:
    """The plan in the file `own`, or else the one committed here, for `target` and `precision`, fitted to `head`.

    For fp32 without a committed plan, it is an empty plan. Raises UsageError for a file that is damaged
    or has no such plan, and for one that would leave the graph in fp32 under another precision's name.
    """
    path = own or PRESETS / f"{targets.plans_of(target)}.toml"
    tables = plan_tables(path) if own or path.is_file() else {}
    if precision in tables:
        plan = from_table(tables[precision], head, f"{path}: {precision}")
        _check_settings(plan, target, precision, f"{path}: {precision}")
    elif own is None and precision == PLAIN:
        plan = Plan()
    else:
        raise UsageError(
            f"there is no plan for {target}:{precision} in {path}",
            hint=f"the file has plans for {', '.join(tables)}"
            if tables
            else f"write one there, or in another file for --plans: [{precision}] with passes and a scheme",
        )
    if (plan.scheme == "") != (precision == PLAIN):
        raise UsageError(
            f"{path}: {precision} has the scheme {plan.scheme!r}",
            hint=f"{PLAIN} has none, and every other precision needs one: `distilforge list schemes`",
        )
    return plan


def from_table(table: object, head: str, where: str) -> Plan:
    """The plan in a TOML or JSON table, with what the table has for `head`; errors name the table by `where`."""
    values = dict(_mapping(table, where))
    heads = _mapping(values.pop(_HEADS, {}), f"{where}.{_HEADS}")
    for name in heads:
        if name not in known_heads.names():
            raise unknown(f"head in {where}.{_HEADS}", name, known_heads.names())
    values |= _mapping(heads.get(head, {}), f"{where}.{_HEADS}.{head}")
    return _READER.read(Plan, values, where)


def to_toml(plan: Plan, precision: str) -> str:
    """`plan` as a table of a file of plans, without the fields that have their defaults."""
    lines = [f"[{precision}]"]
    for entry in fields(Plan):
        value = getattr(plan, entry.name)
        if value != getattr(Plan(), entry.name):
            lines.append(f"{entry.name} = {_toml(value)}")
    return "\n".join(lines) + "\n"


def plan_tables(path: Path) -> Mapping[str, object]:
    """The tables of the file of plans at `path`, by precision; UsageError if it is absent or cannot be read."""
    return read_tables(
        path, absent=UsageError(f"there is no file of plans {path}", hint="`distilforge tune` writes one")
    )


def _mapping(value: object, where: str) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise UsageError(
            f"{where} must be a table, found {value!r:.80}",
            hint="pipeline/recipe/presets/*.toml are examples",
        )
    return value


def _settings(value: object) -> dict[str, str]:
    """A plan's settings, which a file may write as whole numbers."""
    if not isinstance(value, dict):
        raise MisfitError.of(value, "a table")
    for name, setting in value.items():
        if not isinstance(setting, str | int) or isinstance(setting, bool):
            raise MisfitError.of(setting, "text or a whole number").below(f".{name}")
    return {name: _decimal(name, setting) for name, setting in value.items()}


def _decimal(name: str, setting: str | int) -> str:
    try:
        return str(setting)
    # Python refuses to write numbers of more than 4,300 digits
    except ValueError as cause:
        raise MisfitError(" must be a number of at most 20 digits, found a longer one").below(
            f".{name:.100}"
        ) from cause


def _check_settings(plan: Plan, target: str, precision: str, where: str) -> None:
    """Raise UsageError for a setting that a release for `target` may not name; errors name the plan by `where`."""
    backend = backends.get(target)
    if backend is None:
        return
    try:
        backend.check_settings(Variant(target=target, precision=precision, files=(), session=plan.session))
    except ReleaseError as error:
        raise UsageError(f"{where}: session: {error.message}", hint=error.hint) from error


_READER = Reader(
    UsageError,
    unknown="refuse",
    table="table",
    rejections=(UsageError,),
    converters={Mapping[str, str]: _settings},
)


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        # TOML's basic strings escape as JSON's do
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_toml(key)} = {_toml(entry)}" for key, entry in value.items()) + " }"
    if isinstance(value, Sequence):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return str(value)
