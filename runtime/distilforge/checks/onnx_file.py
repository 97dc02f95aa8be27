"""Checks the ONNX file of a variant before an engine reads it."""

from pathlib import Path, PurePosixPath

from distilforge.checks import external_data, folding, functions
from distilforge.errors import ReleaseError
from distilforge.manifest import Variant

SUFFIX = ".onnx"
"""Engines may read a file with another suffix as another format."""
_HINT = "do not use this release unless you trust where it came from"


def check(folder: Path, variant: Variant, name: str) -> None:
    """Raise ReleaseError if an engine must not read the ONNX file `name` of `variant`.

    It must not keep weights in a file that is not the variant's, have functions that cannot be expanded, have a loop,
    or compute too much from its constants.
    """
    if not name.endswith(SUFFIX):
        raise ReleaseError(
            f"the file {name!r:.200} of {variant.name!r:.200} must have a name that ends in {SUFFIX}",
            hint=_HINT,
        )
    try:
        outside = external_data.locations(folder / name)
        functions.check(folder / name)
    except (OSError, ValueError) as cause:
        raise ReleaseError(
            f"{name!r:.200} is not a readable ONNX file: {cause}", hint="publish the release again"
        ) from cause
    for location in sorted(outside):
        if (PurePosixPath(name).parent / location).as_posix() not in variant.files:
            raise ReleaseError(
                f"{name!r:.200} keeps weights in {location!r:.200}, which is not one of the files of the variant "
                f"{variant.name!r:.200}",
                hint=_HINT,
            )
    files = (folder / name, *((folder / name).parent / location for location in outside))
    try:
        folding.check(folder / name, sum(file.stat().st_size for file in files if file.is_file()))
    except (OSError, ValueError) as cause:
        raise ReleaseError(
            f"{name!r:.200} is not read, because it may fill the memory or never end: {cause}",
            hint="publish a graph without it: store what constants give as a weight; " + _HINT,
        ) from cause
