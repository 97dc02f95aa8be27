"""The space of plans: choices in their order, each between options, and an option is what it adds to a plan."""

import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path

from pipeline.errors import UsageError
from pipeline.passes import fusions
from pipeline.precision import schemes
from pipeline.recipe.plan import Plan, from_table
from pipeline.store import digests
from pipeline.targets import Target

SPACES = Path(__file__).parent / "spaces"
Params = Mapping[str, str]
Pick = Callable[[str, tuple[str, ...]], str]
"""The option that is taken of a choice, by its name and its options' names."""

WITH, WITHOUT = "with", "without"
_LOWERINGS, _QUANTIZED_LOWERINGS, _WHEN = "lowerings", "quantized_lowerings", "when"
# What a variant promises to machines, and no matter of speed
_FIXED = ("weight_bits", "needs", "exclude")
_UNORDERED = ("fusions", "smoothed", "exclude", "lowerings")


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One decision. `options` by name are what each adds; it is only made where the plan's fields have `when`."""

    name: str
    options: Mapping[str, Plan]
    when: Mapping[str, tuple[object, ...]] = field(default_factory=dict)

    def arises(self, plan: Plan) -> bool:
        """Whether it has to be made for `plan`, which holds what was chosen before."""
        return all(getattr(plan, name) in values for name, values in self.when.items())


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """`choices`, made one after another upon `base`."""

    base: Plan
    choices: tuple[Choice, ...]

    def plan(self, pick: Pick) -> Plan:
        """The plan of the options that `pick` takes; it is only asked for choices that arise."""
        plan = self.base
        for choice in self.choices:
            if choice.arises(plan):
                plan = merged(plan, choice.options[pick(choice.name, tuple(choice.options))])
        return canonical(plan)

    def params(self, plan: Plan) -> Params:
        """The options that come closest to `plan`: of each choice, the one that adds most of what it has."""
        found: dict[str, str] = {}

        def pick(name: str, options: tuple[str, ...]) -> str:
            choice = next(each for each in self.choices if each.name == name)
            fitting = [option for option in options if _contains(plan, choice.options[option])]
            found[name] = max(fitting or options[:1], key=lambda option: _size(choice.options[option]))
            return found[name]

        self.plan(pick)
        return found

    def neighbours(self, params: Params) -> tuple[Params, ...]:
        """`params` with each single choice made otherwise."""
        return tuple(
            {**params, choice.name: option}
            for choice in self.choices
            if choice.name in params
            for option in choice.options
            if option != params[choice.name]
        )


def space(target: Target, precision: str, base: Plan, modules: Sequence[str]) -> Space:
    """What can be chosen for `target` in `precision`; `base` has what all plans keep: promises and exclusions.

    `modules` are those of the graph that can be quantized. Raises UsageError for a target that has no space.
    """
    path = SPACES / f"{target.name}.toml"
    if not path.is_file():
        known = sorted(each.stem for each in SPACES.glob("*.toml"))
        raise UsageError(f"nothing is known to tune for {target.name}", hint=f"known: {', '.join(known)}")
    tables = tomllib.loads(path.read_text(encoding="utf-8"))
    lowerings, quantized_lowerings = tables.pop(_LOWERINGS), tables.pop(_QUANTIZED_LOWERINGS)
    declared = [_declared(name, table, f"{path}: {name}") for name, table in tables.items()]
    taken = {
        *lowerings,
        *quantized_lowerings,
        *(name for choice in declared for option in choice.options.values() for name in option.fusions),
    }
    # A scheme's name begins with the precision that it writes; weights of fewer bits are still that precision
    fitting = [name for name in schemes.names() if name.startswith(precision.partition("_")[0])]
    free = [
        name for name in fusions.names() if name not in taken and fusions.find(name).emits <= target.domains
    ]
    choices = [
        *([Choice(name="scheme", options={name: Plan(scheme=name) for name in fitting})] if fitting else []),
        *declared,
        *(_optional(name, Plan(fusions=(name,))) for name in free),
        *(_optional(name, Plan(lowerings=(name,))) for name in lowerings),
    ]
    if fitting:
        choices += [_optional(name, Plan(lowerings=(name,))) for name in quantized_lowerings]
        choices.append(Choice(name="exclude", options=_excluded(modules)))
        choices += [
            _optional(f"float {name}", Plan(exclude=(name,))) for name in modules if "embeddings" in name
        ]
    return Space(
        base=_changed(Plan(), {name: getattr(base, name) for name in _FIXED}), choices=tuple(choices)
    )


def merged(plan: Plan, added: Plan) -> Plan:
    """`plan` with what `added` has beyond a plan's defaults: names and settings join, other values replace."""
    defaults = Plan()
    # What is at its default, such as all modules, is not joined with but given up for what is added
    values = {
        name: value if getattr(plan, name) == getattr(defaults, name) else _joined(getattr(plan, name), value)
        for name, value in _beyond_defaults(added).items()
    }
    return _changed(plan, values)


def canonical(plan: Plan) -> Plan:
    """The same plan as all that differ from it in the order of names only; passes have an order of their own."""
    return _changed(plan, {name: tuple(sorted(set(getattr(plan, name)))) for name in _UNORDERED})


def key(plan: Plan) -> str:
    """A short name of what `plan` does."""
    return digests.of_value(canonical(plan).to_json())[:12]


def _declared(name: str, table: object, where: str) -> Choice:
    assert isinstance(table, dict), where
    when = {field: tuple(values) for field, values in table.pop(_WHEN, {}).items()}
    return Choice(
        name=name,
        options={option: from_table(adds, "", f"{where}.{option}") for option, adds in table.items()},
        when=when,
    )


def _optional(name: str, added: Plan) -> Choice:
    return Choice(name=name, options={WITHOUT: Plan(), WITH: added})


def _excluded(modules: Sequence[str]) -> dict[str, Plan]:
    """Linear layers to keep in floating point: those of one kind, those of one encoder layer, one of the head's."""
    groups: dict[str, list[str]] = {}
    for module in modules:
        _, found, after = module.partition("transformer.layer.")
        if found:
            layer, _, kind = after.partition(".")
            groups.setdefault(f"layer {layer}", []).append(module)
            # Packed projections are quantized together or not at all
            packed = kind.startswith("attention.") and not kind.endswith("out_lin")
            groups.setdefault("queries, keys and values" if packed else kind, []).append(module)
        elif "embeddings" not in module:
            groups.setdefault(module, []).append(module)
    return {"none": Plan(), **{name: Plan(exclude=tuple(group)) for name, group in groups.items()}}


def _joined(own: object, added: object) -> object:
    if isinstance(own, tuple) and isinstance(added, tuple):
        return tuple(dict.fromkeys((*own, *added)))
    if isinstance(own, Mapping) and isinstance(added, Mapping):
        return {**own, **added}
    return added


def _changed(plan: Plan, values: Mapping[str, object]) -> Plan:
    """`plan` with `values`, through the reading of a table, which checks them."""
    return from_table({**plan.to_json(), **values}, "", "plan")


def _beyond_defaults(plan: Plan) -> dict[str, object]:
    defaults = Plan()
    found = {entry.name: getattr(plan, entry.name) for entry in fields(Plan)}
    return {name: value for name, value in found.items() if value != getattr(defaults, name)}


def _contains(plan: Plan, added: Plan) -> bool:
    """Whether `plan` has all that `added` adds."""
    for name, value in _beyond_defaults(added).items():
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
