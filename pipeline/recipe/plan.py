"""Plan: what a target applies to a graph for one precision. Presets are plans that were chosen by measurement.

A file of plans is TOML with a table a precision; `heads` holds what differs for a head:

[int8]
fusions = ["attention_scale", "flatten_tokens"]
scheme = "int8_static"
lowerings = ["integer_matmul"]

[int8.heads.sequence_classification]
fusions = ["attention_scale", "first_token", "flatten_tokens"]

A target can take the plans of another one: pipeline.targets.Target.plans.
"""

import difflib
import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path

from distilforge.heads import heads as known_heads

from pipeline import targets
from pipeline.errors import UsageError
from pipeline.registry import unknown

CALIBRATIONS = ("minmax", "percentile", "entropy", "mse")
BITS = 8
_WIDTHS = (7, BITS)
# What every graph is before a scheme writes another precision into it
PLAIN = "fp32"
PRESETS = Path(__file__).parent / "presets"
_HEADS = "heads"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Fusions, then a scheme that writes the precision, then lowerings to the target's own operators.

    fusions, lowerings: names in pipeline.passes. scheme: a name in pipeline.precision, "" to stay in fp32.
    calibration: where the ranges of activations end, one of CALIBRATIONS. smoothing: how much of an activation's
    outliers moves into the weights, 0 for none, 1 for all (Xiao et al. 2023, equation 4, alpha). smoothed: the
    modules whose inputs it is done to, named as in exclude. weight_bits: 8, or 7 for CPUs whose int8 products
    saturate. signed_activations: activations moved to where they are symmetric and stored signed with the zero
    point 0, which is all that TensorRT takes, in place of unsigned ones. quantize_attention: attention's two
    products in 8 bits too, where unsigned activations may be. exclude: modules by their Hugging Face names, "*" for
    anything, which stay in floating point. session: ONNX Runtime's settings. needs: what a machine must have
    (distilforge.machine). Raises UsageError for an unknown calibration, a smoothing or a number of bits that cannot
    be, and for quantize_attention beside signed_activations.
    """

    fusions: tuple[str, ...] = ()
    scheme: str = ""
    calibration: str = "minmax"
    smoothing: float = 0.0
    smoothed: tuple[str, ...] = ("*",)
    weight_bits: int = BITS
    signed_activations: bool = False
    quantize_attention: bool = False
    exclude: tuple[str, ...] = ()
    lowerings: tuple[str, ...] = ()
    session: Mapping[str, str] = field(default_factory=dict)
    needs: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.calibration not in CALIBRATIONS:
            raise unknown("calibration", self.calibration, CALIBRATIONS)
        if self.weight_bits not in _WIDTHS:
            raise UsageError(
                f"weight_bits must be {' or '.join(map(str, _WIDTHS))}, found {self.weight_bits}"
            )
        if not 0 <= self.smoothing <= 1:
            raise UsageError(f"smoothing must lie between 0 and 1, found {self.smoothing}")
        if self.signed_activations and self.quantize_attention:
            raise UsageError(
                "quantize_attention makes queries and softmax unsigned, and signed_activations forbids it",
                hint="leave one of them out",
            )

    def to_json(self) -> dict[str, object]:
        """The plan as JSON, for digests and files."""
        return asdict(self)

    def excluding(self, modules: Sequence[str]) -> "Plan":
        """The same, with `modules` in floating point too; a plan that quantizes nothing stays as it is."""
        if not self.scheme:
            return self
        return replace(self, exclude=tuple(dict.fromkeys([*self.exclude, *modules])))


def preset(target: str, precision: str, head: str, own: Path | None = None) -> Plan:
    """The plan in the file `own`, or else the one committed here, for `target` and `precision`, fitted to `head`.

    In fp32, a plan that does nothing where the committed ones have none. Raises UsageError for a file that is damaged
    or has no such plan, and for one that would leave the graph in fp32 under another precision's name.
    """
    path = own or PRESETS / f"{targets.plans_of(target)}.toml"
    tables = _tables(path) if own or path.is_file() else {}
    if precision in tables:
        plan = from_table(tables[precision], head, f"{path}: {precision}")
    elif own is None and precision == PLAIN:
        plan = Plan()
    else:
        raise UsageError(f"{path} has no plan for {precision}", hint=f"it has {', '.join(tables) or 'none'}")
    if (plan.scheme == "") != (precision == PLAIN):
        raise UsageError(
            f"{path}: {precision} has the scheme {plan.scheme!r}",
            hint=f"{PLAIN} has none, and every other precision needs one: `distilforge list schemes`",
        )
    return plan


def from_table(table: object, head: str, where: str) -> Plan:
    """The plan that a TOML or JSON table holds, fitted to `head`; UsageError, which says `where`, for a misfit."""
    values = dict(_mapping(table, where))
    heads = _mapping(values.pop(_HEADS, {}), f"{where}.{_HEADS}")
    for name in heads:
        if name not in known_heads.names():
            raise unknown(f"head in {where}.{_HEADS}", name, known_heads.names())
    values |= _mapping(heads.get(head, {}), f"{where}.{_HEADS}.{head}")
    defaults = Plan()
    known = [entry.name for entry in fields(Plan)]
    for name in values:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            raise UsageError(
                f"{where} has the unknown key {name!r}; known: {', '.join(known)}",
                hint=f"did you mean {near[0]!r}?" if near else "",
            )
    read = _Fitting(values, where)
    try:
        return Plan(
            fusions=read.names("fusions"),
            scheme=read.text("scheme", defaults.scheme),
            calibration=read.text("calibration", defaults.calibration),
            smoothing=read.number("smoothing", defaults.smoothing),
            smoothed=read.names("smoothed", defaults.smoothed),
            weight_bits=read.whole("weight_bits", defaults.weight_bits),
            signed_activations=read.flag("signed_activations", defaults.signed_activations),
            quantize_attention=read.flag("quantize_attention", defaults.quantize_attention),
            exclude=read.names("exclude"),
            lowerings=read.names("lowerings"),
            session=read.settings("session"),
            needs=read.names("needs"),
        )
    except UsageError as cause:
        raise UsageError(f"{where}: {cause.message}", hint=cause.hint) from cause


def to_toml(plan: Plan, precision: str) -> str:
    """`plan` as a table of a file of plans; what is at its default is left out."""
    lines = [f"[{precision}]"]
    for entry in fields(Plan):
        value = getattr(plan, entry.name)
        if value != getattr(Plan(), entry.name):
            lines.append(f"{entry.name} = {_toml(value)}")
    return "\n".join(lines) + "\n"


def _tables(path: Path) -> Mapping[str, object]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as cause:
        raise UsageError(f"there is no file of plans {path}", hint="`distilforge tune` writes one") from cause
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as cause:
        raise UsageError(f"{path} is no readable TOML file: {cause}") from cause


def _mapping(value: object, where: str) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise UsageError(f"{where} must be a table, found {value!r}")
    return value


class _Fitting:
    """The keys of one table, each in the form that a plan has it in."""

    def __init__(self, values: Mapping[str, object], where: str) -> None:
        self._values = values
        self._where = where

    def names(self, key: str, default: tuple[str, ...] = ()) -> tuple[str, ...]:
        value = self._values.get(key, default)
        if not isinstance(value, list | tuple) or not all(isinstance(each, str) for each in value):
            raise self._misfit(key, "a list of names")
        return tuple(value)

    def text(self, key: str, default: str) -> str:
        value = self._values.get(key, default)
        if not isinstance(value, str):
            raise self._misfit(key, "a text")
        return value

    def number(self, key: str, default: float) -> float:
        value = self._values.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._misfit(key, "a number")
        return float(value)

    def whole(self, key: str, default: int) -> int:
        value = self._values.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self._misfit(key, "a whole number")
        return value

    def flag(self, key: str, default: bool) -> bool:
        value = self._values.get(key, default)
        if not isinstance(value, bool):
            raise self._misfit(key, "true or false")
        return value

    def settings(self, key: str) -> dict[str, str]:
        value = self._values.get(key, {})
        if not isinstance(value, dict) or not all(map(_is_setting, value.values())):
            raise self._misfit(key, "a table of texts")
        return {str(name): str(each) for name, each in value.items()}

    def _misfit(self, key: str, kind: str) -> UsageError:
        return UsageError(f"{self._where}.{key} must be {kind}, found {self._values[key]!r}")


def _is_setting(value: object) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool)


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        # TOML's basic strings escape as JSON's do
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_toml(key)} = {_toml(each)}" for key, each in value.items()) + " }"
    if isinstance(value, Sequence):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return str(value)
