"""The command that makes a package of a release."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli import display, options
from pipeline.cli.reporting import report_errors
from pipeline.packages.base import PackageOptions

KindName = Annotated[
    str,
    typer.Option(
        "--for", metavar="KIND", help="Who deploys it; `distilforge list packages` prints all kinds."
    ),
]
Output = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="The folder to write; default: packages/NAME-KIND.", show_default=False),
]
Variant = Annotated[
    str | None,
    typer.Option(
        metavar="TARGET:PRECISION",
        help="The variant to package; default: the fastest validated one that the kind can hold.",
        show_default=False,
    ),
]
Platform = Annotated[
    str | None,
    typer.Option(
        metavar="x86_64|aarch64",
        help="For `tar`: the processor that the wheels are for; default: this machine's.",
        show_default=False,
    ),
]
Python = Annotated[
    str | None,
    typer.Option(
        metavar="3.N",
        help="For `tar`: the Python that the wheels are for; default: this one.",
        show_default=False,
    ),
]
OnnxRuntime = Annotated[
    str | None,
    typer.Option(
        metavar="VERSION",
        help="For `tar`: the onnxruntime to bring; default: the one that the release was validated with.",
        show_default=False,
    ),
]
Precision = Annotated[
    str | None,
    typer.Option(
        metavar="fp32|fp16",
        help="For `coreml`: what the model computes in; default: fp32.",
        show_default=False,
    ),
]
Replace = Annotated[bool, typer.Option("--replace", help="Replace the package that is there.")]
Test = Annotated[bool, typer.Option("--test", help="Run the package's self-test; exit 5 if it fails.")]


def package(
    release: options.Release,
    kind: KindName,
    output: Output = None,
    variant: Variant = None,
    platform: Platform = None,
    python: Python = None,
    onnxruntime: OnnxRuntime = None,
    precision: Precision = None,
    key: options.TrustedKey = None,
    replace: Replace = False,
    test: Test = False,
    as_json: options.Json = False,
    verbose: options.Verbose = False,
) -> None:
    """Package a release for those who deploy it, and print the package's folder.

    The release is verified first. An existing package stays unless --replace is given.
    """
    with report_errors(verbose) as listener:
        from pipeline.packages import kinds
        from pipeline.packages.assembly import build, testing

        package = build.make(
            release,
            kinds.find(kind),
            output=output,
            variant=variant,
            options=PackageOptions(
                platform=platform, python=python, onnxruntime=onnxruntime, precision=precision
            ),
            trust=key,
            replace=replace,
            listener=listener,
        )
        if test:
            listener.note(f"{package.folder} is made, and its self-test runs")
        result = testing.run(package.record, package.folder) if test else None
        if as_json:
            values = {
                "folder": str(package.folder),
                "record": asdict(package.record),
                "self_test": None if result is None else asdict(result),
            }
            display.result(json.dumps(values, ensure_ascii=False))
            return
        if result is not None:
            listener.note(
                f"self-test: {result.client} answered {result.examples} examples as expected, the first after "
                f"{result.start_seconds:.2f} s; largest error {result.largest_error:.2g}"
            )
        display.result(str(package.folder))
