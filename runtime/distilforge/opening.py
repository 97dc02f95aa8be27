"""`distilforge.open`: from a folder to a session."""

import logging
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar, overload

from distilforge.choice import choose
from distilforge.errors import InputError, ReleaseError
from distilforge.heads import heads
from distilforge.inputs import check_names, check_threads
from distilforge.json_fields import Fields
from distilforge.manifest import Manifest
from distilforge.registry import nearest
from distilforge.release import check_digests, check_files, read_manifest, resolve
from distilforge.session import Loaded, Session
from distilforge.tokenizer import Tokenizer

S = TypeVar("S", bound=Session)
_logger = logging.getLogger("distilforge")


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
    if variant is not None and not isinstance(variant, str):
        raise InputError(
            f"variant must be a text such as 'onnxruntime-cpu:int8', found {variant!r:.80}",
            hint="leave it out to take what suits this machine",
        )
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
    choice = choose(manifest, variant, threads=threads, allow_unvalidated=allow_unvalidated)
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
            vocabulary=read_vocabulary(folder),
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


def _shared_files(manifest: Manifest) -> set[str]:
    """The files that belong to no variant, such as the tokenizer's."""
    return set(manifest.files) - {file for variant in manifest.variants for file in variant.files}


def read_vocabulary(folder: Path) -> int:
    """How many token ids the model has embeddings for; ReleaseError where config.json does not say."""
    path = folder / "config.json"
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as cause:
        raise ReleaseError(
            f"{str(path)!r} cannot be read: {cause}", hint="publish the release again"
        ) from cause
    return Fields.parse(text, str(path)).integer("vocab_size")
