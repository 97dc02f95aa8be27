"""The README of a package, of one screen."""

from pipeline.packages.assembly.examples import EXAMPLES
from pipeline.packages.assembly.record import RECORD
from pipeline.packages.base import PackageContents, PackageKind, PackageRequest

README = "README.md"
"""The file's name in a package."""
_SIGNED = (
    "The release is signed: `release/model.sig` signs `release/manifest.json` and the digest of every file. "
    "`distilforge verify RELEASE --key TRUSTED.pem` checks the signature of the whole release."
)
_UNSIGNED = "The release is not signed."


def render(kind: PackageKind, request: PackageRequest, contents: PackageContents, *, signed: bool) -> str:
    """The README as Markdown."""
    manifest, variant = request.manifest, request.variant
    blocks = [
        f"# {manifest.name}: {kind.name}",
        f"{kind.help}\n\nRelease `{manifest.name}` {manifest.version}, head `{manifest.head}`.",
        f"Variant `{variant.name}`: {request.reason}.",
        f"## Use it\n\n{contents.usage.strip()}",
        f"## Test it\n\n```sh\n{' '.join(contents.self_test)}\n```\n\n{_test(contents)}",
        f"## What it holds\n\n`{RECORD}` has the SHA-256 of every file, `{EXAMPLES}` inputs with the validated "
        "answers, and `release/` what the publisher says: the manifest, the model card and the bill of materials. "
        f"Files of the release have the digests of the manifest. {_SIGNED if signed else _UNSIGNED}",
    ]
    limits = [*contents.limits, *_machine(request)]
    if limits:
        blocks.append("## Limits\n\n" + "\n".join(f"- {limit}" for limit in limits))
    return "\n\n".join(blocks) + "\n"


def _test(contents: PackageContents) -> str:
    needs = f"It needs {', '.join(contents.needs)}. " if contents.needs else ""
    return f"{needs}It exits with 0 if the answers are right, with 1 if one is wrong, with 3 if a client is missing."


def _machine(request: PackageRequest) -> list[str]:
    """What the variant needs of a machine and of an engine, a sentence each."""
    sentences = []
    if request.variant.needs:
        sentences.append(f"The validated answers need a machine with: {', '.join(request.variant.needs)}.")
    if request.variant.session:
        settings = ", ".join(f"`{name}={value}`" for name, value in request.variant.session.items())
        sentences.append(f"It was validated with the engine's settings {settings}.")
    return sentences
