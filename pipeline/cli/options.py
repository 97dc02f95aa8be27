"""The options that the building commands share, and the recipe that they amount to."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from pipeline import targets
from pipeline.errors import UsageError
from pipeline.recipe import toml as recipe_toml
from pipeline.recipe.plan import PLAIN
from pipeline.recipe.recipe import DEFAULT_VARIANTS, Recipe, VariantName
from validation.gate import Gates

RECIPE_SUFFIX = ".toml"


class GateMode(StrEnum):
    """What a failed check does."""

    enforce = "enforce"
    report = "report"


Sources = Annotated[
    list[str],
    typer.Argument(
        metavar="CHECKPOINT_OR_RECIPE",
        help="A Hugging Face DistilBERT folder, a hub id, or a recipe (.toml). Several are built one after another; "
        "where one fails, the others are built all the same.",
    ),
]
Name = Annotated[
    str | None,
    typer.Option(help="The release's name; default: the recipe's, or the folder's.", show_default=False),
]
Head = Annotated[
    str | None,
    typer.Option(help="The head to build; default: the one that config.json names.", show_default=False),
]
Variants = Annotated[
    list[str] | None,
    typer.Option(
        "--variant",
        metavar="TARGET:PRECISION",
        help="May be given several times; default: the recipe's, or onnxruntime-cpu:fp32.",
        show_default=False,
    ),
]
Data = Annotated[
    Path | None,
    typer.Option(
        help="Labelled evaluation data, .jsonl or .jsonl.gz. Without it only agreement with eager PyTorch is judged.",
        show_default=False,
    ),
]
Calibration = Annotated[
    Path | None, typer.Option(help="Calibration data, .jsonl or .jsonl.gz.", show_default=False)
]
Exclude = Annotated[
    list[str] | None,
    typer.Option(
        "--exclude",
        metavar="MODULE",
        help="A module that stays in floating point: its Hugging Face name, * for anything. Several times.",
        show_default=False,
    ),
]
Plans = Annotated[
    Path | None,
    typer.Option(
        help="A file of plans, which `distilforge tune` writes; default: the recipe's, or the committed ones.",
        show_default=False,
    ),
]
Capabilities = Annotated[
    list[str] | None,
    typer.Option(
        "--capability",
        metavar="MAJOR.MINOR",
        help="A compute capability that engines are for, as 8.6; several times; default: the recipe's, or all that "
        "the compiler is for by itself.",
        show_default=False,
    ),
]
Buckets = Annotated[
    list[int] | None,
    typer.Option(
        "--bucket",
        metavar="TOKENS",
        help="A token count at which an engine's profile ends; several times, rising; default: the recipe's, or one "
        "profile over its spans.",
        show_default=False,
    ),
]
TimingCache = Annotated[
    Path | None,
    typer.Option(
        help="A file of kernel timings that builds of engines begin with and add to.", show_default=False
    ),
]
Source = Annotated[
    str,
    typer.Argument(
        metavar="CHECKPOINT_OR_RECIPE",
        help="A Hugging Face DistilBERT folder, a hub id, or a recipe (.toml).",
    ),
]
Target = Annotated[str, typer.Option(help="What is to run it; `distilforge list targets` has them.")]
Precision = Annotated[str, typer.Option(help="The precision to tune.")]
Minutes = Annotated[float, typer.Option(help="How long to search; run it again to go on.")]
Output = Annotated[
    Path | None,
    typer.Option(
        help="The file of plans to write, with the evidence beside it; default: NAME.plans.toml.",
        show_default=False,
    ),
]
Seed = Annotated[int, typer.Option(help="Of the search's choices.")]
OneVariant = Annotated[
    str | None,
    typer.Option(
        "--variant", metavar="TARGET:PRECISION", help="Default: the first not in fp32.", show_default=False
    ),
]
Checkpoint = Annotated[
    Path | None,
    typer.Option(help="Compare with a fresh export of it, not with the release's fp32.", show_default=False),
]
Artifacts = Annotated[Path, typer.Option(help="Where releases are published and work is kept.")]
Gate = Annotated[
    GateMode | None,
    typer.Option(
        help="enforce: a failed check publishes nothing (exit 6). report: it publishes, marked as not validated.",
        show_default=False,
    ),
]
TimedVariants = Annotated[
    list[str] | None,
    typer.Option(
        "--variant",
        metavar="TARGET:PRECISION",
        help="Time this one; several times; default: all that can run here.",
        show_default=False,
    ),
]
Shapes = Annotated[
    list[str] | None,
    typer.Option(
        "--shape",
        metavar="TEXTSxTOKENS",
        help="Of a run; several times; default: 1x16, 1x128 and 8x128, as far as the release takes them.",
        show_default=False,
    ),
]
Threads = Annotated[
    int | None,
    typer.Option(help="Of a run; default: the engine's, as in distilforge.open.", show_default=False),
]
Seconds = Annotated[float, typer.Option(help="At most, a shape; an unsteady timing is repeated once.")]
Plot = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Draw the times, .svg or .png.", show_default=False)
]
NoRemember = Annotated[bool, typer.Option("--no-remember", help="Let distilforge.open choose as before.")]
Forget = Annotated[
    bool, typer.Option("--forget", help="Remove what is remembered of the release, and measure nothing.")
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON, an object a line.")]
Verbose = Annotated[
    bool,
    typer.Option("--verbose", help="Show the traceback of an error, and every check of a gate that said no."),
]

ARTIFACTS = Path("artifacts")
# As a recipe's table [engine] and the compilers' refusals name them
_ENGINE_OPTIONS = {"--capability": "capabilities", "--bucket": "buckets", "--timing-cache": "timing_cache"}


def recipe(
    source: str,
    *,
    name: str | None,
    head: str | None,
    variants: list[str] | None,
    data: Path | None,
    calibration: Path | None,
    plans: Path | None,
    exclude: list[str] | None,
    gate: GateMode | None,
    capabilities: list[str] | None = None,
    buckets: list[int] | None = None,
    timing_cache: Path | None = None,
) -> Recipe:
    """The recipe in `source`, or the one for the checkpoint `source`, with every option that was given."""
    if source.endswith(RECIPE_SUFFIX):
        base = recipe_toml.read(Path(source))
    else:
        base = Recipe(name=name or _folder_name(source), checkpoint=source)
    chosen = tuple(map(VariantName.parse, variants)) if variants else base.variants or DEFAULT_VARIANTS
    _refuse_idle(
        chosen,
        engines={"--capability": capabilities, "--bucket": buckets, "--timing-cache": timing_cache},
        exclude=exclude,
    )
    return replace(
        base,
        name=name or base.name,
        head=head or base.head,
        variants=chosen,
        evaluation=data or base.evaluation,
        calibration=calibration or base.calibration,
        plans=plans or base.plans,
        exclude=tuple(dict.fromkeys([*base.exclude, *(exclude or ())])),
        engine=replace(
            base.engine,
            capabilities=tuple(capabilities) if capabilities else base.engine.capabilities,
            buckets=tuple(buckets) if buckets else base.engine.buckets,
            timing_cache=timing_cache or base.engine.timing_cache,
        ),
        gates=_gated(base.gates, gate),
    )


def _refuse_idle(
    variants: Sequence[VariantName], *, engines: Mapping[str, object], exclude: Sequence[str] | None
) -> None:
    """UsageError for options that were given and that none of `variants` reads."""
    built = ", ".join(map(str, variants))
    compilers = targets.compilers()
    given = [option for option, value in engines.items() if value]
    if given and not any(variant.target in compilers for variant in variants):
        able = [
            name for name, compiler in compilers.items() if _ENGINE_OPTIONS[given[0]] not in compiler.refused
        ]
        raise UsageError(
            f"{given[0]} is for engines, and none is built: the variants are {built}",
            hint=f"add one, such as --variant {able[-1]}:fp16; targets that take it: {', '.join(able)}",
        )
    if exclude and all(variant.precision == PLAIN for variant in variants):
        raise UsageError(
            f"--exclude {exclude[0]} keeps a module in floating point, and all of them are: the variants are {built}",
            hint="add one that is not, such as --variant onnxruntime-cpu:int8",
        )


def check_distinct(names: Sequence[str]) -> None:
    """UsageError where two releases would be published under one of `names`; an empty one is not known yet."""
    for name in names:
        if name and names.count(name) > 1:
            raise UsageError(
                f"{names.count(name)} builds would publish under the name {name!r}", hint="use --name"
            )


def _gated(gates: Gates, gate: GateMode | None) -> Gates:
    if gate is None:
        return gates
    return replace(gates, mode="report" if gate is GateMode.report else "enforce")


def _folder_name(source: str) -> str:
    name = Path(source).resolve().name if Path(source).exists() else Path(source).name
    if not name:
        raise UsageError(f"{source!r} gives the release no name", hint="choose one with --name")
    return name
