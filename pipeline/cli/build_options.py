"""The options of the building commands, each declared once, and the recipe that they give."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer
from distilforge.heads import heads

from pipeline import targets
from pipeline.cli import options
from pipeline.cli.signature import flag
from pipeline.errors import OptionError, UsageError
from pipeline.recipe import paths
from pipeline.recipe import toml as recipe_toml
from pipeline.recipe.recipe import Recipe, VariantName
from pipeline.release.signing import Signer
from validation.gates import Latency

RECIPE_SUFFIX = ".toml"


# Repeated options are lists, since typer takes no tuple of any length


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineArguments:
    """Options that replace the fields of the recipe's EngineOptions that have their names."""

    capabilities: Annotated[
        list[str] | None,
        typer.Option(
            "--capability",
            metavar="MAJOR.MINOR",
            help="A compute capability that engines are for, such as 8.6. May be given several times; default: the "
            "recipe's, or all that the compiler supports.",
            show_default=False,
        ),
    ] = None
    buckets: Annotated[
        list[int] | None,
        typer.Option(
            "--bucket",
            metavar="TOKENS",
            help="A token count at which an engine's profile ends. May be given several times, rising; default: the "
            "recipe's, or the compiler's.",
            show_default=False,
        ),
    ] = None
    batches: Annotated[
        list[int] | None,
        typer.Option(
            "--batch",
            metavar="TEXTS",
            help="A number of texts at which an engine's profile ends. May be given several times, rising; default: "
            "the recipe's, or the compiler's.",
            show_default=False,
        ),
    ] = None
    timing_cache: Annotated[
        Path | None,
        typer.Option(
            help="A file of kernel timings that builds of engines start with and add to.", show_default=False
        ),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GateArguments:
    """Options that replace the fields of the recipe's Gates that have their names."""

    mode: Annotated[
        Literal["enforce", "report"] | None,
        typer.Option(
            "--gate",
            help="enforce: if a check fails, nothing is published (exit 6). report: the release is published and "
            "marked as not validated. Default: the recipe's, or enforce.",
            show_default=False,
        ),
    ] = None
    latency: Annotated[
        Latency | None,
        typer.Option(
            help="judge: measure speeds and hold them to the gates. report: measure them and judge none. skip: "
            "measure nothing. Default: the recipe's, or judge.",
            show_default=False,
        ),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildArguments:
    """Options that replace the fields of the recipe that have their names."""

    name: Annotated[
        str | None,
        typer.Option(help="The release's name; default: the recipe's, or the folder's.", show_default=False),
    ] = None
    head: options.Head = None
    variants: Annotated[
        list[str] | None,
        typer.Option(
            "--variant",
            metavar="TARGET:PRECISION",
            help="What to build. May be given several times; default: the recipe's, or onnxruntime-cpu:fp32.",
            show_default=False,
        ),
    ] = None
    evaluation: options.Data = None
    calibration: options.Calibration = None
    plans: Annotated[
        Path | None,
        typer.Option(
            help="A file of plans, as `distilforge tune` writes it; default: the recipe's, or the committed plans.",
            show_default=False,
        ),
    ] = None
    exclude: options.Exclude = None
    engine: EngineArguments = field(default_factory=EngineArguments)
    gates: GateArguments = field(default_factory=GateArguments)


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningArguments:
    """Options that say who signs the release."""

    key: Annotated[
        Path | None,
        typer.Option(
            "--sign",
            metavar="KEY.pem",
            help="Sign the release with this private key before anybody sees it.",
            show_default=False,
        ),
    ] = None
    certificates: options.Certificates = None
    order: options.Order = None

    def signer(self) -> Signer | None:
        """Who signs; None if nobody does. Raises UsageError for options that only a signature has."""
        if self.key is None:
            for name, value in (("--certificate", self.certificates), ("--order", self.order)):
                if value not in (None, []):
                    raise UsageError(
                        f"{name} has no effect without a signature", hint="give the key: --sign KEY"
                    )
            return None
        return Signer(key=self.key, certificates=tuple(self.certificates or ()), order=self.order)


def recipe(source: str, arguments: BuildArguments) -> Recipe:
    """The recipe in `source`, or the one for the checkpoint `source`, with every option that was given.

    Modules to exclude are added to the recipe's; every other option replaces what the recipe has.
    """
    if source.endswith(RECIPE_SUFFIX):
        base = recipe_toml.read(Path(source))
    else:
        base = Recipe(name=arguments.name or _folder_name(source), checkpoint=source)
    values = _given(arguments)
    values["exclude"] = tuple(dict.fromkeys([*base.exclude, *(arguments.exclude or ())]))
    with naming_flags(arguments):
        updated = _updated(base, values)
    _check_used(updated, arguments)
    return updated


@contextmanager
def naming_flags(arguments: BuildArguments) -> Iterator[None]:
    """Let an error call the engines' options that were given by their flags, and those of a recipe as it does."""
    try:
        yield
    except OptionError as error:
        # Options of plans, which have no flags here, are other fields
        given = _given(arguments.engine)
        raise error.called({name: flag(EngineArguments, name) for name in given}) from error


def _updated(base: Recipe, values: Mapping[str, object]) -> Recipe:
    """`base` with `values`, whose errors do not begin with a place in a recipe, since options have none."""
    try:
        return recipe_toml.update(base, values)
    except UsageError as error:
        if not isinstance(error.__cause__, UsageError):
            raise
        reason = error.__cause__
    raise reason


def _given(arguments: object) -> dict[str, object]:
    """The options that were given, by the fields that they replace."""
    assert is_dataclass(arguments)
    values = {entry.name: getattr(arguments, entry.name) for entry in fields(arguments)}
    nested = {name: _given(value) if is_dataclass(value) else value for name, value in values.items()}
    return {name: value for name, value in nested.items() if value not in (None, [], {})}


def _check_used(updated: Recipe, arguments: BuildArguments) -> None:
    """Raise UsageError for an option that was given and that no variant of the `updated` recipe uses."""
    variants = updated.variants
    names = ", ".join(map(str, variants))
    compilers = targets.compilers()
    given = tuple(_given(arguments.engine))
    if given and not any(variant.target in compilers for variant in variants):
        able = [name for name, compiler in compilers.items() if given[0] not in compiler.refused]
        raise UsageError(
            f"{flag(EngineArguments, given[0])} applies only to engines, and no variant is an engine: {names}",
            hint=f"add one, such as --variant {able[-1]}:fp16; targets that take it: {', '.join(able)}",
        )
    if arguments.exclude and not any(_has_written_precision(updated, variant) for variant in variants):
        raise UsageError(
            f"--exclude {arguments.exclude[0]} has no effect: the graph of every variant is in fp32: {names}",
            hint="add one of lower precision, such as --variant onnxruntime-cpu:int8",
        )


def _has_written_precision(updated: Recipe, variant: VariantName) -> bool:
    """Whether the graph of `variant` has another precision than fp32."""
    from pipeline.precision import schemes  # the schemes' modules, which few commands need

    # Where the head is not known yet, any head shows the kind of scheme
    scheme = updated.plan(variant, updated.head or heads.names()[0]).scheme
    return scheme != "" and not schemes.find(scheme).by_engine


def _folder_name(source: str) -> str:
    name = Path(source).resolve().name if paths.exists(Path(source)) else Path(source).name
    if not name:
        raise UsageError(f"{source!r} does not give the release a name", hint="choose one with --name")
    return name
