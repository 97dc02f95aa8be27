"""`distilforge.open`: from a folder to a session."""

import logging
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar, overload

from distilforge.backends import Backend, backends
from distilforge.errors import InputError, ReleaseError, UnavailableError
from distilforge.heads import heads
from distilforge.inputs import check_names, check_threads
from distilforge.json_fields import Fields
from distilforge.manifest import Manifest, Variant
from distilforge.registry import nearest
from distilforge.release import check_digests, check_files, read_manifest, resolve
from distilforge.session import Loaded, Session
from distilforge.tokenizer import Tokenizer

S = TypeVar("S", bound=Session)
_logger = logging.getLogger("distilforge")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Choice:
    variant: Variant
    backend: Backend
    reason: str


@overload
def open_release(
    release: str | os.PathLike[str],
    *,
    variant: str | None = None,
    providers: Sequence[str] | None = None,
    threads: int | None = None,
    allow_unvalidated: bool = False,
) -> Session: ...
@overload
def open_release(
    release: str | os.PathLike[str],
    *,
    head: type[S],
    variant: str | None = None,
    providers: Sequence[str] | None = None,
    threads: int | None = None,
    allow_unvalidated: bool = False,
) -> S: ...
def open_release(
    release: str | os.PathLike[str],
    *,
    head: type[Session] = Session,
    variant: str | None = None,
    providers: Sequence[str] | None = None,
    threads: int | None = None,
    allow_unvalidated: bool = False,
) -> Session:
    """Load a release and return its head's session, which is called on text and is safe to share between threads.

    `release` is a version folder, or artifacts/<name>, whose `latest` is followed. `variant` ("target:precision")
    and `providers` (the engine's own names) choose by hand; without them the variant is picked that suits this
    machine, and the choice is logged with its reason. `threads` is how many one run may use, the engine's default
    where None. `head`, a class such as `distilforge.SequenceClassification`, states which head the caller expects;
    with it the result is typed. `allow_unvalidated` admits a release whose validation failed.

    Every file's path and size is checked, and the SHA-256 of every file but those of variants that are not loaded.
    Raises ReleaseError where the release is absent, damaged, too new, not validated or of another head;
    UnavailableError where what was asked for cannot be had on this machine; InputError for bad arguments.
    """
    if threads is not None:
        check_threads(threads)
    if providers is not None:
        check_names("providers", providers)
    if not isinstance(head, type) or not issubclass(head, Session):
        raise InputError(
            f"head must be a session class, found {head!r:.80}",
            hint="for example head=distilforge.SequenceClassification; leave it out to take what the release has",
        )
    folder = resolve(release)
    manifest = read_manifest(folder)
    session = _session_class(manifest, folder, head)
    choice = _choose(manifest, variant, allow_unvalidated=allow_unvalidated)
    _logger.info("%s %s: %s", manifest.name, manifest.version, choice.reason)
    check_files(folder, manifest, digests=_shared_files(manifest))
    with ThreadPoolExecutor(max_workers=1) as pool:
        # Hashing leaves the interpreter free, so the engine's package is imported meanwhile.
        checked = pool.submit(check_digests, folder, manifest, choice.variant.files)
        tokenizer = Tokenizer(folder)
        choice.backend.prepare()
        checked.result()
    return session(
        Loaded(
            manifest=manifest,
            variant=choice.variant,
            engine=choice.backend.load(choice.variant, folder, providers=providers, threads=threads),
            tokenizer=tokenizer,
            vocabulary=_vocabulary(folder),
        )
    )


def _session_class(manifest: Manifest, folder: Path, expected: type[S]) -> type[S]:
    found = heads.get(manifest.head)
    if found is None:
        raise ReleaseError(
            f"{str(folder)!r} has the head {manifest.head!r}; this distilforge knows no such head",
            hint=f"pip install --upgrade distilforge; {nearest(manifest.head, heads.names())}",
        )
    if not issubclass(found, expected):
        raise ReleaseError(
            f"{str(folder)!r} has the head {manifest.head!r}: its session is {found.__name__}, not {expected.__name__}",
            hint=f"open a release of that head, or pass head=distilforge.{found.__name__}",
        )
    return found


def _choose(manifest: Manifest, name: str | None, *, allow_unvalidated: bool) -> _Choice:
    if name is not None:
        return _choose_by_name(manifest, name, allow_unvalidated=allow_unvalidated)
    reasons: list[str] = []
    able: list[_Choice] = []
    for variant in manifest.variants:
        backend = backends.get(variant.target)
        obstacle = _no_backend(variant) if backend is None else backend.obstacle(variant)
        if obstacle is not None:
            reasons.append(f"{variant.name} cannot run here: {obstacle}")
        elif backend is not None:
            able.append(_Choice(variant=variant, backend=backend, reason=""))
    if not able:
        raise UnavailableError(
            f"no variant of {manifest.name} {manifest.version} can run on this machine: {'; '.join(reasons)}",
            hint="install what is missing, or build the release for this machine",
        )
    trusted = [choice for choice in able if choice.variant.validated]
    if not trusted and not allow_unvalidated:
        _refuse_unvalidated(able[0].variant)
    # The sort keeps the manifest's order among equals, and puts what was validated first.
    best = min(able, key=lambda choice: (not choice.variant.validated, -choice.backend.preference))
    others = [choice.variant.name for choice in able if choice.variant is not best.variant]
    why = f"chose {best.variant.name}" + (
        f" before {', '.join(others)}" if others else ", the one that can run here"
    )
    return _Choice(variant=best.variant, backend=best.backend, reason="; ".join([why, *reasons]))


def _choose_by_name(manifest: Manifest, name: str, *, allow_unvalidated: bool) -> _Choice:
    for variant in manifest.variants:
        if variant.name != name:
            continue
        backend = backends.get(variant.target)
        obstacle = _no_backend(variant) if backend is None else backend.obstacle(variant)
        if backend is None or obstacle is not None:
            raise UnavailableError(
                f"the variant {name!r} cannot run on this machine: {obstacle}",
                hint="leave variant out to have one picked that can",
            )
        if not variant.validated and not allow_unvalidated:
            _refuse_unvalidated(variant)
        return _Choice(variant=variant, backend=backend, reason=f"{name} was asked for")
    raise InputError(
        f"{manifest.name} {manifest.version} has no variant {name!r}",
        hint=nearest(name, tuple(variant.name for variant in manifest.variants)),
    )


def _no_backend(variant: Variant) -> str:
    return (
        f"this distilforge has no backend for {variant.target!r}; {nearest(variant.target, backends.names())}"
    )


def _refuse_unvalidated(variant: Variant) -> None:
    failed = [
        f"{verdict.check}: observed {verdict.observed:g} {verdict.unit}, limit {verdict.comparison} {verdict.limit:g}"
        for verdict in variant.verdicts
        if not verdict
    ]
    raise ReleaseError(
        f"the variant {variant.name!r} did not pass validation: {'; '.join(failed) or 'it was never validated'}",
        hint="pass allow_unvalidated=True to use it all the same",
    )


def _shared_files(manifest: Manifest) -> set[str]:
    """The files that belong to no variant, such as the tokenizer's."""
    return set(manifest.files) - {file for variant in manifest.variants for file in variant.files}


def _vocabulary(folder: Path) -> int:
    path = folder / "config.json"
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as cause:
        raise ReleaseError(
            f"{str(path)!r} cannot be read: {cause}", hint="publish the release again"
        ) from cause
    return Fields.parse(text, str(path)).integer("vocab_size")
