"""Makes a package: verify, select, write, describe, and rename into place."""

import json
import shutil
import tempfile
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Protocol

from distilforge import leftovers
from distilforge import release as releases
from distilforge.manifest import Manifest
from distilforge.release import MANIFEST, SIGNATURE, STATEMENT
from distilforge.trust.opening import verify_trusted

from pipeline.errors import UsageError
from pipeline.packages.assembly import examples, readme, selection
from pipeline.packages.assembly.record import FORMAT, RECORD, PackageRecord
from pipeline.packages.base import PackageKind, PackageOptions, PackageRequest
from pipeline.store import digests, storage

RELEASE = "release"
"""The folder of a package with what the release says about itself."""
OUTPUTS = Path("packages")
"""The folder for packages whose place is not named."""
_DESCRIPTIONS = ("README.md", "sbom.cdx.json")
_STAGING = ".packaging-"


class NoteListener(Protocol):
    """Receives remarks."""

    def note(self, text: str) -> None:
        """Receive a remark of one line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """A finished package."""

    folder: Path
    """Where it is."""
    record: PackageRecord
    """What it is made of."""


def make(
    release: Path,
    kind: PackageKind,
    *,
    output: Path | None,
    variant: str | None,
    options: PackageOptions,
    trust: Path | None,
    replace: bool,
    listener: NoteListener,
) -> Package:
    """Make a package of the kind `kind` of a release, at `output` or else at packages/<name>-<kind>.

    `variant` is the variant to package, None for the best one. `trust` is the publisher's key, by which the release
    must be signed. The package is written beside its place and renamed, so that a reader sees all of it or nothing;
    `replace` lets it replace a package that is there.

    Raises ReleaseError if the release is damaged, not validated or not signed by `trust`; UsageError if it does not
    have a variant for the kind, if something else is at `output`, or if `output` lies in the release or cannot be
    written; and what the kind raises.
    """
    _check_options(kind, options)
    folder = releases.resolve(release)
    manifest, signer = _verified(folder, trust, listener)
    chosen, reason = selection.select(manifest, kind, variant)
    listener.note(f"variant {chosen.name}: {reason}")
    request = PackageRequest(
        release=folder, manifest=manifest, variant=chosen, reason=reason, options=options
    )
    final = (output or OUTPUTS / f"{manifest.name}-{kind.name}").absolute()
    if folder.resolve() in final.resolve().parents:
        raise UsageError(
            f"{final} is inside the release, where every file must be listed",
            hint="choose another place with --output",
        )
    try:
        _check_place(final, kind.name, manifest.name, replace=replace)
        record = _make(kind, request, final, signer=signer, replace=replace)
    except OSError as cause:
        raise UsageError(
            f"the package at {str(final)!r:.300} cannot be written: {cause}",
            hint="look at the permissions and the space left, or name another place with --output",
        ) from cause
    return Package(folder=final, record=record)


def _make(
    kind: PackageKind, request: PackageRequest, final: Path, *, signer: str, replace: bool
) -> PackageRecord:
    final.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{final.name}{_STAGING}"
    leftovers.remove(final.parent, prefix)
    with tempfile.TemporaryDirectory(prefix=prefix, dir=final.parent) as temporary:
        staging = Path(temporary) / final.name
        staging.mkdir()
        record = _write(kind, request, staging, signer=signer)
        # Now, so that as little time as possible is between the two renames
        storage.synchronize(staging)
        # Again: something may have come there meanwhile
        _check_place(final, kind.name, request.manifest.name, replace=replace)
        replaced = Path(temporary) / "replaced"
        if final.exists():
            final.rename(replaced)
        try:
            storage.commit(staging, final)
        except OSError:
            if replaced.exists() and not final.exists():
                replaced.rename(final)
            raise
    return record


def _verified(folder: Path, trust: Path | None, listener: NoteListener) -> tuple[Manifest, str]:
    """The manifest of a release whose files all have its digests, and who signed it; "" if that was not verified."""
    if trust is not None:
        trusted = verify_trusted(folder, trust)
        return trusted.manifest, trusted.signer
    if (folder / SIGNATURE).is_file():
        listener.note("the release is signed, and the signature was not verified: give the publisher's --key")
    return releases.verify(folder), ""


def _write(kind: PackageKind, request: PackageRequest, staging: Path, *, signer: str) -> PackageRecord:
    examples.write(examples.make(request), staging)
    _describe_release(request.release, staging / RELEASE)
    contents = kind.write(request, staging)
    text = readme.render(kind, request, contents, signed=(request.release / SIGNATURE).is_file())
    (staging / readme.README).write_text(text, encoding="utf-8")
    record = PackageRecord(
        format=FORMAT,
        kind=kind.name,
        name=request.manifest.name,
        version=request.manifest.version,
        manifest_sha256=digests.of_file(request.release / MANIFEST),
        signer=signer,
        variant=request.variant.name,
        reason=request.reason,
        self_test=contents.self_test,
        files=digests.record(staging),
    )
    record.write(staging)
    return record


def _describe_release(release: Path, folder: Path) -> None:
    """Copy what the release says about itself into the new `folder`, with its signature if it has one."""
    folder.mkdir()
    for name in (MANIFEST, *_DESCRIPTIONS, STATEMENT, SIGNATURE):
        if (release / name).is_file():
            shutil.copyfile(release / name, folder / name)


def _check_options(kind: PackageKind, options: PackageOptions) -> None:
    for field in fields(options):
        if getattr(options, field.name) is not None and field.name not in kind.options:
            raise UsageError(
                f"a package of the kind {kind.name} does not take --{field.name.replace('_', '-')}",
                hint="leave it out; `distilforge package --help` says which kinds take it",
            )


def _check_place(final: Path, kind: str, name: str, *, replace: bool) -> None:
    if not final.exists() and not final.is_symlink():
        return
    if not (final / RECORD).is_file() or final.is_symlink():
        raise UsageError(
            f"{final} exists and is not a package, so it is not replaced",
            hint="move it away, or choose another place with --output",
        )
    if not replace:
        raise UsageError(
            f"{final} exists", hint="replace it with --replace, or choose another place with --output"
        )
    present = _kind_and_name(final)
    if present != (kind, name):
        raise UsageError(
            f"{final} is {' of '.join(present)}, and this is {kind} of {name}, so it is not replaced",
            hint="remove it, or choose another place with --output",
        )


def _kind_and_name(package: Path) -> tuple[str, str]:
    """The kind and the release's name of a package that is there, as its record has them."""
    try:
        record = json.loads((package / RECORD).read_text(encoding="utf-8"))
        return str(record["kind"]), str(record["name"])
    except (ValueError, TypeError, KeyError):
        return "a package with a damaged record", "an unknown release"
