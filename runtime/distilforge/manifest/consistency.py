"""Whether a manifest keeps to the limits of its format and does not contradict itself."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sized
from math import isfinite, prod

from distilforge import limits
from distilforge.errors import ReleaseError
from distilforge.manifest.release import SCHEMA, FileRecord, Manifest
from distilforge.manifest.tensors import Span, Tensor
from distilforge.manifest.variant import Variant
from distilforge.manifest.verdicts import proves_validity
from distilforge.manifest.version import is_deployed, release_version

AXES = ("batch", "sequence")
"""The axes that the inputs of every head have."""
DTYPES = (
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32", "float64",
)  # fmt: skip
"""The types of inputs and outputs, by their names in numpy."""
PROBLEM_TYPES = ("single_label_classification", "multi_label_classification", "regression", None)
"""What the labels of a classifier may mean; None if their number decides."""
_MANIFEST = "manifest.json"
_TRUST = "do not use this release unless you trust where it came from"
_UNLISTED = (_MANIFEST, "statement.intoto.json", "model.sig")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_UNSAFE = re.compile(r"[\\:\x00-\x1f\x7f\ud800-\udfff]")
# A folder is called so, and files beside it, whose names have a few characters more
_MOST_NAME_BYTES = limits.MOST_PATH_NAME_BYTES - 15
# Windows opens a device for each of these names, whatever their suffix, and drops dots and spaces at the end of a name
_DEVICE_OR_DROPPED = re.compile(r"(?i)(CON|PRN|AUX|NUL|COM[0-9]|LPT[0-9])(\..*)?|.*[. ]")

# A name becomes a path, a line of a script and a text in a program's source. No character here has a meaning in them.
_NAME = re.compile(r"\w(?:[\w .,@+=()-]*[\w)])?")
_IDENTIFIER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
# What PyPI allows in names and versions. Both become lines of files that pip reads.
_TOOL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+!-]{0,99}")


def name_problem(name: str) -> str:
    """Why no release can be called `name`; empty if one can."""
    if len(name) > limits.MOST_NAME_CHARACTERS:
        return f"it has {len(name):,} characters; at most {limits.MOST_NAME_CHARACTERS} are allowed"
    size = len(name.encode(errors="surrogatepass"))
    if size > _MOST_NAME_BYTES:
        return f"it has {size:,} bytes in UTF-8; at most {_MOST_NAME_BYTES} are allowed"
    if not _NAME.fullmatch(name):
        return "letters, digits, spaces and _.,@+=()- are allowed, with a letter, a digit or _ at both ends"
    if _DEVICE_OR_DROPPED.fullmatch(name):
        return "Windows has a device of this name"
    return ""


def check_consistent(manifest: Manifest, place: str) -> None:
    """Raise ReleaseError, which names `place`, if `manifest` breaks a limit, or contradicts itself."""
    for problem in _excesses(manifest):
        raise ReleaseError(
            f"{place!r} goes beyond a limit: {problem}",
            hint="artifacts/README.md has the limits of a release",
        )
    for name in manifest.files:
        check_path(name)
    for problem in _contradictions(manifest):
        raise ReleaseError(f"{place!r} contradicts itself: {problem}", hint="publish the release again")
    version = release_version(manifest.files, manifest.provenance.recipe_sha256)
    if manifest.version != version:
        raise ReleaseError(
            f"{place!r} has the version {manifest.version!r:.80}, which is not the digest of what it lists: that is "
            f"{version!r}",
            hint="copy the release again; do not use it if the files were changed without a build",
        )


def check_path(name: str) -> None:
    """Raise ReleaseError if `name` is not the path of a file inside a release, with plain names."""
    parts = name.split("/")
    if _UNSAFE.search(name) or set(parts) & {"", ".", ".."}:
        raise ReleaseError(
            f"{_MANIFEST} lists the path {name!r:.300}; a path must be relative, inside the release, and separated by "
            "'/', without ':', '\\' and control characters",
            hint=_TRUST,
        )
    for part in parts:
        if _DEVICE_OR_DROPPED.fullmatch(part):
            raise ReleaseError(
                f"{_MANIFEST} lists the path {name!r:.300}; {part!r:.200} is another file on Windows: a name must not "
                "end with a dot or a space, or be that of a device, such as NUL",
                hint=_TRUST,
            )
    longest = max(len(part.encode()) for part in parts)
    if (
        len(name.encode()) > limits.MOST_PATH_BYTES
        or longest > limits.MOST_PATH_NAME_BYTES
        or len(parts) > limits.MOST_PATH_NAMES
    ):
        raise ReleaseError(
            f"{_MANIFEST} lists the path {name!r:.80}, which has {len(name.encode())} bytes and {len(parts)} names; "
            f"its longest name has {longest} bytes; at most {limits.MOST_PATH_BYTES} bytes and "
            f"{limits.MOST_PATH_NAMES} names of {limits.MOST_PATH_NAME_BYTES} bytes are allowed",
            hint="publish the release again with shorter paths",
        )


def _excesses(manifest: Manifest) -> Iterator[str]:
    """What is longer or larger than the format allows, as clauses."""
    counts: list[tuple[str, Sized, int]] = [
        ("files", manifest.files, limits.MOST_FILES),
        ("labels", manifest.labels, limits.MOST_LABELS),
        ("inputs", manifest.inputs, limits.MOST_TENSORS),
        ("outputs", manifest.outputs, limits.MOST_TENSORS),
        ("spans", manifest.spans, limits.MOST_TENSORS),
        ("variants", manifest.variants, limits.MOST_VARIANTS),
        ("withheld variants", manifest.withheld, limits.MOST_VARIANTS),
        ("tools", manifest.provenance.tools, limits.MOST_ENTRIES),
    ]
    for what, entries, most in counts:
        if len(entries) > most:
            yield f"it has {len(entries):,} {what}; at most {most:,} are allowed"
    tensors = (*manifest.inputs, *manifest.outputs)
    names: list[str] = [manifest.name, manifest.version, manifest.head, *manifest.spans]
    for tensor in tensors:
        names += [tensor.name, tensor.dtype, *(axis for axis in tensor.shape if isinstance(axis, str))]
        if len(tensor.shape) > limits.MOST_TENSORS:
            yield (
                f"{tensor.name!r:.200} has {len(tensor.shape)} dimensions; at most {limits.MOST_TENSORS} are allowed"
            )
    for variant in manifest.variants:
        names += [variant.target, variant.precision]
        yield from _excesses_of_variant(variant)
    for name in names:
        if not name or len(name) > limits.MOST_NAME_CHARACTERS:
            yield (
                f"the name {name!r:.80} has {len(name):,} characters; 1 to {limits.MOST_NAME_CHARACTERS} are allowed"
            )
    texts: Iterable[str] = (
        *manifest.labels,
        *(text for variant in manifest.variants for text in (*variant.notes, *variant.widened)),
        *(text for entry in manifest.withheld for text in (entry.name, entry.reason)),
    )
    for text in texts:
        if len(text) > limits.MOST_TEXT_CHARACTERS:
            yield (
                f"the text {text!r:.80} has {len(text):,} characters; at most {limits.MOST_TEXT_CHARACTERS:,} are "
                "allowed"
            )
    for record_name, record in manifest.files.items():
        if not 0 <= record.bytes <= limits.MOST_FILE_BYTES:
            yield f"{record_name!r:.200} has {record.bytes!r:.40} bytes; 0 to {limits.MOST_FILE_BYTES:,} are allowed"
    for axis, span in manifest.spans.items():
        if span.high > limits.MOST_SIZE:
            yield f"the span of {axis!r} goes to {span.high!r:.40}; at most {limits.MOST_SIZE:,} is allowed"
    if all(1 <= span.low <= span.high <= limits.MOST_SIZE for span in manifest.spans.values()):
        smallest = prod(span.low for span in manifest.spans.values())
        if smallest > limits.MOST_SIZE:
            yield f"the smallest batch of its spans has {smallest:,} tokens; at most {limits.MOST_SIZE:,} are allowed"


def _excesses_of_variant(variant: Variant) -> Iterator[str]:
    lists: Mapping[str, Sized] = {
        "files": variant.files,
        "passes": variant.passes,
        "needs": variant.needs,
        "settings": variant.session,
        "notes": variant.notes,
        "metrics": variant.metrics,
        "verdicts": variant.verdicts,
        "measurements": variant.measurements,
    }
    for what, entries in lists.items():
        if len(entries) > limits.MOST_ENTRIES:
            yield (
                f"the variant {variant.name!r:.200} has {len(entries):,} {what}; at most {limits.MOST_ENTRIES:,} are "
                "allowed"
            )
    for measurement in variant.measurements:
        if len(measurement.seconds) > limits.MOST_SAMPLES:
            yield (
                f"a measurement of {variant.name!r:.200} has {len(measurement.seconds):,} runs; at most "
                f"{limits.MOST_SAMPLES:,} are allowed"
            )
        if measurement.seconds and not _are_plausible(measurement.seconds):
            yield (
                f"a measurement of {variant.name!r:.200} has runs of {min(measurement.seconds)} to "
                f"{max(measurement.seconds)} seconds; "
                f"0, or {limits.LEAST_SECONDS:g} to {limits.MOST_SECONDS:,.0f}, are allowed"
            )
        for size in (measurement.batch, measurement.tokens):
            if not 1 <= size <= limits.MOST_SIZE:
                yield (
                    f"a measurement of {variant.name!r:.200} has the size {size!r:.40}; 1 to {limits.MOST_SIZE:,} are "
                    "allowed"
                )


def _are_plausible(seconds: tuple[float, ...]) -> bool:
    least = min(seconds)
    # NaN is not ordered, but makes the sum NaN
    return (
        (least == 0 or least >= limits.LEAST_SECONDS)
        and max(seconds) <= limits.MOST_SECONDS
        and isfinite(sum(seconds))
    )


def _contradictions(manifest: Manifest) -> Iterator[str]:
    """What cannot be true at once, as clauses."""
    if manifest.schema != SCHEMA:
        yield f"its schema is {manifest.schema!r:.40}; the first one was {SCHEMA}"
    if not manifest.variants:
        yield "it has no variants"
    for name, times in Counter(variant.name for variant in manifest.variants).items():
        if times > 1:
            yield f"the variant {name!r} is there {times} times"
    for variant in manifest.variants:
        yield from _contradictions_of_variant(variant, manifest.files)
    if problem := name_problem(manifest.name):
        yield f"no release can be called {manifest.name!r:.80}: {problem}"
    for name, tool_version in manifest.provenance.tools.items():
        if not _TOOL.fullmatch(name) or not _TOOL.fullmatch(tool_version):
            yield (
                f"its tools have {name!r:.80} in version {tool_version!r:.80}; "
                "1 to 100 letters, digits and ._+!- are allowed in each"
            )
    if manifest.problem_type not in PROBLEM_TYPES:
        yield f"its problem_type is {manifest.problem_type!r:.80}"
    for axis, span in manifest.spans.items():
        if not 0 < span.low <= span.usual <= span.high:
            yield f"the span of {axis!r} is {_sizes(span)}; it must rise from at least 1"
    for tensor in (*manifest.inputs, *manifest.outputs):
        yield from _contradictions_of_tensor(tensor)
    for tensor in manifest.inputs:
        for size in tensor.shape:
            if isinstance(size, str) and size not in manifest.spans:
                yield f"the axis {size!r} of the input {tensor.name!r} has no span"
    for kind, tensors in (("input", manifest.inputs), ("output", manifest.outputs)):
        names = [tensor.name for tensor in tensors]
        if len(set(names)) < len(names):
            yield f"two {kind}s have one name: {', '.join(names)}"
    for axis in AXES:
        if not any(axis in tensor.shape for tensor in manifest.inputs):
            yield f"no input has the axis {axis!r}"
    for name in _UNLISTED:
        if name in manifest.files:
            yield f"it lists {name!r}, which is written after it"
    yield from _confusions(manifest.files)
    for name, record in manifest.files.items():
        if not _SHA256.fullmatch(record.sha256):
            yield f"the record of {name!r} has the SHA-256 {record.sha256!r:.80}"
    for what in ("checkpoint_sha256", "recipe_sha256"):
        digest = getattr(manifest.provenance, what)
        if not _SHA256.fullmatch(digest):
            yield f"the {what} of its provenance is {digest!r:.80}"


def _confusions(names: Iterable[str]) -> Iterator[str]:
    """Paths that exclude each other, as clauses.

    Two are one file where the case of letters or the composition of accents does not count, or one is a folder of the
    other.
    """
    others = {_folded(name): name for name in _UNLISTED}
    for name in names:
        other = others.setdefault(_folded(name), name)
        if other != name:
            yield f"it lists {name!r:.200}, which some file systems take for {other!r:.200}"
    for folded, name in others.items():
        parent = folded.rpartition("/")[0]
        while parent:
            if parent in others:
                yield f"it lists {name!r:.200}, and {others[parent]!r:.200} as a file"
            parent = parent.rpartition("/")[0]


def _folded(name: str) -> str:
    if name.isascii():
        return name.lower()
    import unicodedata  # not imported for the usual names, since every application would wait for it

    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _contradictions_of_variant(variant: Variant, files: Mapping[str, FileRecord]) -> Iterator[str]:
    for word in (variant.target, variant.precision):
        if not _IDENTIFIER.fullmatch(word):
            yield f"no target or precision is called {word!r:.80}: letters, digits, _ and - are allowed"
    if not variant.files:
        yield f"the variant {variant.name!r} has no files"
    for file in variant.files:
        if file not in files:
            yield f"{file!r:.300} of the variant {variant.name!r} is not among the release's files"
        elif not is_deployed(file):
            yield f"{file!r} of the variant {variant.name!r} describes the release and cannot be run"
    if variant.oracle and variant.oracle not in variant.files:
        yield f"the oracle {variant.oracle!r:.300} of the variant {variant.name!r} is not one of its files"
    if variant.validated and not proves_validity(variant.verdicts):
        failed = [verdict.check for verdict in variant.verdicts if not verdict]
        reason = f"the check {failed[0]!r:.200} failed" if failed else "no check was met"
        yield f"the variant {variant.name!r} is called validated, and {reason}"


def _contradictions_of_tensor(tensor: Tensor) -> Iterator[str]:
    if tensor.dtype not in DTYPES:
        yield f"{tensor.name!r} has the dtype {tensor.dtype!r}; known: {', '.join(DTYPES)}"
    for size in tensor.shape:
        if isinstance(size, int) and not 1 <= size <= limits.MOST_SIZE:
            yield f"{tensor.name!r} has a dimension of {size!r:.40}; it must be 1 to {limits.MOST_SIZE:,}"


def _sizes(span: Span) -> str:
    return ", ".join(f"{size!r:.40}" for size in (span.low, span.usual, span.high))
