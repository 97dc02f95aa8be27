"""The space of plans: parameters in a fixed order, each with options, where an option is what it adds to a plan."""

import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path

from pipeline.errors import UsageError
from pipeline.passes import registry
from pipeline.precision import schemes
from pipeline.recipe.plan import Plan, from_table
from pipeline.store import digests
from pipeline.targets import Target

SPACES = Path(__file__).parent / "spaces"
Params = Mapping[str, str]
"""The option that is taken of each parameter, by name. The word is Optuna's."""
Pick = Callable[[str, tuple[str, ...]], str]
"""Picks an option, given the name of the parameter and the names of its options."""

WITH, WITHOUT = "with", "without"
_FINAL_PASSES, _QUANTIZED_FINAL_PASSES, _WHEN = "final_passes", "quantized_final_passes", "when"
# A variant promises these to machines and to its user, so they are not traded for speed
_FIXED = ("weight_bits", "exact_pairs", "needs", "session", "exclude")
_UNORDERED = ("passes", "smoothed", "exclude", "final_passes")


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One decision about a plan."""

    name: str
    """The name, which is unique in a space."""
    options: Mapping[str, Plan]
    """What each option adds to the plan, by the option's name."""
    when: Mapping[str, tuple[object, ...]] = field(default_factory=dict)
    """The decision is only made for plans whose fields have one of these values; empty for every plan."""

    def applies_to(self, plan: Plan) -> bool:
        """Whether the decision is made for `plan`, which holds the decisions before it."""
        return all(getattr(plan, name) in values for name, values in self.when.items())


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """All plans that can be proposed."""

    base: Plan
    """What every plan has."""
    parameters: tuple[Parameter, ...]
    """The decisions, in the order in which they are made."""

    def plan(self, pick: Pick) -> Plan:
        """The plan of the options that `pick` returns. It is only called for parameters that apply."""
        plan = self.base
        for parameter in self.parameters:
            if parameter.applies_to(plan):
                plan = merge(plan, parameter.options[pick(parameter.name, tuple(parameter.options))])
        return canonical(plan)

    def params(self, plan: Plan) -> Params:
        """The options that come closest to `plan`: for each parameter, the one that adds most of what `plan` has."""
        params: dict[str, str] = {}
        by_name = {parameter.name: parameter for parameter in self.parameters}

        def pick(name: str, options: tuple[str, ...]) -> str:
            additions = by_name[name].options
            fitting = [option for option in options if _contains(plan, additions[option])]
            params[name] = max(fitting or options[:1], key=lambda option: _size(additions[option]))
            return params[name]

        self.plan(pick)
        return params

    def neighbours(self, params: Params) -> tuple[Params, ...]:
        """`params` with one decision changed, for every decision and every other option of it."""
        return tuple(
            {**params, parameter.name: option}
            for parameter in self.parameters
            if parameter.name in params
            for option in parameter.options
            if option != params[parameter.name]
        )


def space(target: Target, precision: str, base: Plan, modules: Sequence[str]) -> Space:
    """The space for `target` in `precision`.

    Every plan keeps what `base` promises and excludes. `modules` are the modules of the graph that can be quantized.
    Raises UsageError for a target that has no space.
    """
    path = SPACES / f"{target.name}.toml"
    if not path.is_file():
        known = sorted(file.stem for file in SPACES.glob("*.toml"))
        raise UsageError(f"{target.name} has nothing to tune", hint=f"these targets have: {', '.join(known)}")
    tables = tomllib.loads(path.read_text(encoding="utf-8"))
    final_passes, quantized_final_passes = tables.pop(_FINAL_PASSES), tables.pop(_QUANTIZED_FINAL_PASSES)
    declared = [_declared(name, table, f"{path}: {name}") for name, table in tables.items()]
    mentioned = {
        *final_passes,
        *quantized_final_passes,
        *(name for parameter in declared for option in parameter.options.values() for name in option.passes),
    }
    # A scheme's name begins with the precision that it writes. Weights of fewer bits are still that precision.
    fitting = [name for name in schemes.names() if name.startswith(precision.partition("_")[0])]
    others = [
        name
        for name in registry.names()
        if name not in mentioned and registry.find(name).emits <= target.domains
    ]
    parameters = [
        *(
            [Parameter(name="scheme", options={name: Plan(scheme=name) for name in fitting})]
            if fitting
            else []
        ),
        *declared,
        *(_with_or_without(name, Plan(passes=(name,))) for name in others),
        *(_with_or_without(name, Plan(final_passes=(name,))) for name in final_passes),
    ]
    if fitting:
        parameters += [_with_or_without(name, Plan(final_passes=(name,))) for name in quantized_final_passes]
        parameters.append(Parameter(name="exclude", options=_exclusions(modules)))
        parameters += [
            _with_or_without(f"float {name}", Plan(exclude=(name,)))
            for name in modules
            if "embeddings" in name
        ]
    return Space(
        base=_changed(Plan(), {name: getattr(base, name) for name in _FIXED}), parameters=tuple(parameters)
    )


def merge(plan: Plan, addition: Plan) -> Plan:
    """`plan` with the fields of `addition` that are not at their defaults. Names and settings join, others replace."""
    defaults = Plan()
    # A default that is not empty, such as "all modules", gives way to what is added
    values = {
        name: value if getattr(plan, name) == getattr(defaults, name) else _joined(getattr(plan, name), value)
        for name, value in _beyond_defaults(addition).items()
    }
    return _changed(plan, values)


def canonical(plan: Plan) -> Plan:
    """The one form of all plans that only differ in the order of names. Passes have an order of their own."""
    return _changed(plan, {name: tuple(sorted(set(getattr(plan, name)))) for name in _UNORDERED})


def plan_key(plan: Plan) -> str:
    """A short digest of `plan`, which is the same for plans that do the same."""
    return digests.of_value(canonical(plan).to_json())[:12]


def _declared(name: str, table: object, where: str) -> Parameter:
    assert isinstance(table, dict), where
    when = {field: tuple(values) for field, values in table.pop(_WHEN, {}).items()}
    return Parameter(
        name=name,
        options={option: from_table(adds, "", f"{where}.{option}") for option, adds in table.items()},
        when=when,
    )


def _with_or_without(name: str, addition: Plan) -> Parameter:
    return Parameter(name=name, options={WITHOUT: Plan(), WITH: addition})


def _exclusions(modules: Sequence[str]) -> dict[str, Plan]:
    """Linear layers that can stay in floating point: all of one kind, all of one encoder layer, or one of the head."""
    groups: dict[str, list[str]] = {}
    for module in modules:
        _, is_in_encoder, after = module.partition("transformer.layer.")
        if is_in_encoder:
            layer, _, kind = after.partition(".")
            groups.setdefault(f"layer {layer}", []).append(module)
            # Packed projections are quantized together or not at all
            packed = kind.startswith("attention.") and not kind.endswith("out_lin")
            groups.setdefault("queries, keys and values" if packed else kind, []).append(module)
        elif "embeddings" not in module:
            groups.setdefault(module, []).append(module)
    return {"none": Plan(), **{name: Plan(exclude=tuple(group)) for name, group in groups.items()}}


def _joined(own: object, addition: object) -> object:
    if isinstance(own, tuple) and isinstance(addition, tuple):
        return tuple(dict.fromkeys((*own, *addition)))
    if isinstance(own, Mapping) and isinstance(addition, Mapping):
        return {**own, **addition}
    return addition


def _changed(plan: Plan, values: Mapping[str, object]) -> Plan:
    """`plan` with `values`, read as a table is, which checks them."""
    return from_table({**plan.to_json(), **values}, "", "plan")


def _beyond_defaults(plan: Plan) -> dict[str, object]:
    defaults = Plan()
    values = {entry.name: getattr(plan, entry.name) for entry in fields(Plan)}
    return {name: value for name, value in values.items() if value != getattr(defaults, name)}


def _contains(plan: Plan, addition: Plan) -> bool:
    """Whether `plan` has everything that `addition` adds."""
    for name, value in _beyond_defaults(addition).items():
        own = getattr(plan, name)
        if isinstance(value, tuple):
            if not set(value) <= set(own):
                return False
        elif isinstance(value, Mapping):
            if not value.items() <= own.items():
                return False
        elif own != value:
            return False
    return True


def _size(plan: Plan) -> int:
    return sum(
        len(value) if isinstance(value, tuple | Mapping) else 1 for value in _beyond_defaults(plan).values()
    )
