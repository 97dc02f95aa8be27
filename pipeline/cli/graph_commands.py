"""The commands that list passes and schemes, and that apply them to an ONNX file."""

import json
from dataclasses import dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from pipeline import targets
from pipeline.cli import display, options
from pipeline.cli.reporting import report_errors
from pipeline.cli.signature import flag, with_options
from pipeline.errors import OptionError
from pipeline.packages import kinds
from pipeline.passes import registry
from pipeline.passes.base import Pass
from pipeline.precision import schemes
from pipeline.recipe.plan import BITS, CALIBRATIONS, Plan
from pipeline.stages import single_graph
from pipeline.stages.single_graph import SingleStageResult

Model = Annotated[
    Path, typer.Argument(metavar="MODEL.onnx", help="A DistilBERT, as `distilforge export` writes it.")
]
Passes = Annotated[
    list[str], typer.Option("--pass", metavar="NAME", help="A pass to apply. May be given several times.")
]
Output = Annotated[Path, typer.Option(metavar="OUT.onnx", help="The file to write.")]
SchemeName = Annotated[
    str,
    typer.Option(
        help="How the precision is written into the graph: a scheme that `distilforge list schemes` calls written."
    ),
]
Tokenizer = Annotated[
    str,
    typer.Option(
        help="The checkpoint whose tokenizer reads the calibration data; config.json and the tokenizer are enough."
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanArguments:
    """The options of `quantize` that are fields of a Plan, under their names there."""

    calibration: Annotated[
        str,
        typer.Option(
            "--method", help=f"How ranges of activations are chosen: one of {', '.join(CALIBRATIONS)}."
        ),
    ] = "minmax"
    smoothing: Annotated[
        float, typer.Option(help="How much of an outlier moves into the weights, from 0 to 1.")
    ] = 0.0
    weight_bits: Annotated[int, typer.Option(help="8, or 7 for CPUs whose 8-bit products saturate.")] = BITS
    exact_pairs: Annotated[
        bool,
        typer.Option(
            "--exact-pairs", help="Bound pairs of weights, so that 8-bit products do not saturate anywhere."
        ),
    ] = False
    quantize_attention: Annotated[
        bool, typer.Option("--attention", help="Quantize the products of attention too.")
    ] = False
    exclude: options.Exclude = None
    passes: Annotated[
        list[str] | None,
        typer.Option(
            "--pass",
            metavar="NAME",
            help="A pass to apply first. May be given several times.",
            show_default=False,
        ),
    ] = None
    final_passes: Annotated[
        list[str] | None,
        typer.Option(
            "--final-pass",
            metavar="NAME",
            help="A pass to apply last. May be given several times.",
            show_default=False,
        ),
    ] = None

    def plan(self, scheme: str) -> Plan:
        """The plan with these options and `scheme`; OptionError for a value that no plan can have."""
        return Plan(
            passes=tuple(self.passes or ()),
            scheme=scheme,
            calibration=self.calibration,
            smoothing=self.smoothing,
            weight_bits=self.weight_bits,
            exact_pairs=self.exact_pairs,
            quantize_attention=self.quantize_attention,
            exclude=tuple(self.exclude or ()),
            final_passes=tuple(self.final_passes or ()),
        )


FLAGS = {entry.name: flag(PlanArguments, entry.name) for entry in fields(PlanArguments)}
"""How the command line writes each option of a plan that it has."""


class Kind(StrEnum):
    """What `list` can list."""

    heads = "heads"
    passes = "passes"
    schemes = "schemes"
    precisions = "precisions"
    targets = "targets"
    packages = "packages"


def list_names(kind: Annotated[Kind, typer.Argument(help="What to list.")]) -> None:
    """List what there is to choose from."""
    with report_errors():
        if kind is Kind.passes:
            passes = [registry.find(name) for name in registry.names()]
            display.table(
                ("pass", "must match", "after", "what it does"),
                [(entry.name, _contract(entry), ", ".join(entry.after), entry.summary) for entry in passes],
            )
        elif kind is Kind.schemes:
            known = [schemes.find(name) for name in schemes.names()]
            display.table(
                ("scheme", "precision", "what it does"),
                [
                    (entry.name, "set for the engine" if entry.by_engine else "written", entry.summary)
                    for entry in known
                ],
            )
        elif kind is Kind.packages:
            packages = [kinds.find(name) for name in kinds.names()]
            display.table(
                ("kind", "what it is", "variants"),
                [(entry.name, entry.help, ", ".join(entry.holds)) for entry in packages],
            )
        else:
            for name in _names(kind):
                display.result(name)


def fuse(
    model: Model,
    passes: Passes,
    output: Output,
    as_json: options.Json = False,
    verbose: options.Verbose = False,
) -> None:
    """Apply passes to an ONNX file and print how often each matched; exit 5 if one matched less often than it must."""
    with report_errors(verbose):
        _show(single_graph.fuse(model, passes, output), as_json)


@with_options
def quantize(
    model: Model,
    scheme: SchemeName,
    checkpoint: Tokenizer,
    output: Output,
    arguments: PlanArguments,
    data: options.Calibration = None,
    head: options.Head = None,
    as_json: options.Json = False,
    verbose: options.Verbose = False,
) -> None:
    """Write an ONNX file in another precision, calibrated on real texts, and print what changed."""
    with report_errors(verbose):
        try:
            written = single_graph.quantize(
                model, arguments.plan(scheme), checkpoint=checkpoint, head=head, data=data, output=output
            )
        except OptionError as error:
            raise error.called(FLAGS) from error
        _show(written, as_json)


def _show(written: SingleStageResult, as_json: bool) -> None:
    if as_json:
        display.result(json.dumps(written.to_json(), ensure_ascii=False))
        return
    display.table(("pass", "matched"), [(record.name, str(record.rewrites)) for record in written.passes])
    for note in written.notes:
        display.result(note)
    display.result(written.files[0])


def _contract(entry: Pass) -> str:
    counts = [(entry.per_layer, "a layer"), (entry.per_graph, "in all")]
    numbers = ", ".join(f"{count} {of}" for count, of in counts if count) or "any number"
    return f"{numbers}, all that look like it" if entry.every else numbers


def _names(kind: Kind) -> tuple[str, ...]:
    if kind is Kind.heads:
        from model_src import heads

        return heads.names()
    return targets.targets.names() if kind is Kind.targets else targets.precisions()
