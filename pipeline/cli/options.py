"""Options that several commands share, and those of `bisect` and `tune`."""

from pathlib import Path
from typing import Annotated

import typer
from distilforge.urls import is_url, without_secrets

ARTIFACTS = Path("artifacts")

Release = Annotated[
    Path, typer.Argument(metavar="RELEASE", help="artifacts/<name>, or a version folder inside it.")
]
Releases = Annotated[
    list[Path], typer.Argument(metavar="RELEASE", help="artifacts/<name>, or version folders inside it.")
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON, one object on each line.")]
Verbose = Annotated[
    bool,
    typer.Option("--verbose", help="Show the traceback of an error, and every check if a gate said no."),
]


def _check_folder(artifacts: Path) -> Path:
    """Refuse a URL, which would become a folder of this machine that is called so."""
    if is_url(str(artifacts)):
        raise typer.BadParameter(
            f"{without_secrets(str(artifacts))} is a URL, and releases are built in a folder; --to brings them to one"
        )
    return artifacts


Artifacts = Annotated[
    Path,
    typer.Option(help="The folder for releases, and for the work on them.", callback=_check_folder),
]

_DESTINATION = (
    "Where the release goes: a folder, s3://bucket/folder or another that fsspec opens, oci://REGISTRY/REPOSITORY, or "
    "hf://ORGANISATION/NAME. {name} stands for the release's name. Each release has a place of its own."
)
Destination = Annotated[
    str | None, typer.Option("--to", metavar="URL", help=_DESTINATION, show_default=False)
]
RequiredDestination = Annotated[str, typer.Option("--to", metavar="URL", help=_DESTINATION)]

PrivateKey = Annotated[
    Path,
    typer.Option("--key", metavar="KEY.pem", help="Your private key, on the curve P-256, P-384 or P-521."),
]
TrustedKey = Annotated[
    Path | None,
    typer.Option(
        "--key",
        metavar="TRUSTED.pem",
        help="The publisher's public key or certificate: the release must be signed by it.",
        show_default=False,
    ),
]
Certificates = Annotated[
    list[Path] | None,
    typer.Option(
        "--certificate",
        metavar="CERTIFICATE.pem",
        help="The certificate of the key, and then those of its issuers, in one file or in several.",
        show_default=False,
    ),
]
Order = Annotated[
    int | None,
    typer.Option(
        help="A number that rises from version to version, for distilforge.open(..., at_least=N).",
        show_default=False,
    ),
]
Recipe = Annotated[
    Path | None,
    typer.Option(help="The recipe that the release was built with; options change it.", show_default=False),
]
Origin = Annotated[
    str | None,
    typer.Option(
        "--checkpoint",
        help="The checkpoint that the release was built from; default: the recipe's.",
        show_default=False,
    ),
]

Head = Annotated[
    str | None,
    typer.Option(help="The head to build; default: the one that config.json names.", show_default=False),
]
Data = Annotated[
    Path | None,
    typer.Option(
        "--data",
        help="Labelled evaluation data, .jsonl or .jsonl.gz. Without it only agreement with eager PyTorch is judged.",
        show_default=False,
    ),
]
Calibration = Annotated[
    Path | None,
    typer.Option("--calibration", help="Calibration data, .jsonl or .jsonl.gz.", show_default=False),
]
Exclude = Annotated[
    list[str] | None,
    typer.Option(
        "--exclude",
        metavar="MODULE",
        help="A linear layer or an embedding table that keeps its precision, or an attention whose products are "
        "quantized: its Hugging Face name, with * for anything. It stays in fp32, or in fp16 beside 8-bit products "
        "if the rest is in fp16. May be given several times.",
        show_default=False,
    ),
]

Source = Annotated[
    str,
    typer.Argument(
        metavar="CHECKPOINT_OR_RECIPE",
        help="A Hugging Face DistilBERT folder, a hub id, or a recipe (.toml).",
    ),
]
Target = Annotated[str, typer.Option(help="The target to tune for; `distilforge list targets` prints all.")]
Precision = Annotated[str, typer.Option(help="The precision to tune.")]
Minutes = Annotated[float, typer.Option(help="How long to search; the same command again continues.")]
Output = Annotated[
    Path | None,
    typer.Option(
        help="The file of plans to write, with the evidence beside it; default: NAME.plans.toml.",
        show_default=False,
    ),
]
Seed = Annotated[int, typer.Option(help="The seed of the search's random choices.")]

OneVariant = Annotated[
    str | None,
    typer.Option(
        "--variant",
        metavar="TARGET:PRECISION",
        help="The variant to search; default: the first one that is not fp32.",
        show_default=False,
    ),
]
Checkpoint = Annotated[
    Path | None,
    typer.Option(
        help="Compare with a new export of this checkpoint, not with the release's fp32. It must be the one that the "
        "release was built from.",
        show_default=False,
    ),
]
