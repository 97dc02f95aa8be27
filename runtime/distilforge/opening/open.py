"""`distilforge.open`: from a release's folder to a session."""

import logging
import os
import traceback
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar, overload

from distilforge.checks.arguments import check_names, check_threads
from distilforge.checks.interface import check_interface
from distilforge.contents import State, states
from distilforge.engine import Engine
from distilforge.errors import InputError, ReleaseError, UnavailableError
from distilforge.heads import heads
from distilforge.manifest import Manifest, Variant
from distilforge.opening.selection import Selection, select_variant
from distilforge.registry import nearest
from distilforge.release import check_digests, check_files, read_manifest, resolve
from distilforge.session import Session, SessionParts
from distilforge.tokenizer import Tokenizer

S = TypeVar("S", bound=Session)
_ATTEMPTS = 3
_logger = logging.getLogger("distilforge")


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """How a session was opened: the arguments of `distilforge.open` that give the same session again."""

    release: str
    """The absolute path of the version folder."""
    variant: str
    """The name of the variant that was loaded."""
    providers: tuple[str, ...] | None
    """The argument `providers`."""
    threads: int | None
    """The argument `threads`."""
    allow_unvalidated: bool
    """The argument `allow_unvalidated`."""
    trust: str | None = None
    """The absolute path of the argument `trust`."""
    manifest_sha256: str | None = None
    """The argument `manifest_sha256`."""
    at_least: str | int | None = None
    """The argument `at_least`."""

    def __call__(self) -> Session:
        """Open the release again; raises what `open_release` raises."""
        return open_release(
            self.release,
            variant=self.variant,
            providers=self.providers,
            threads=self.threads,
            allow_unvalidated=self.allow_unvalidated,
            trust=self.trust,
            manifest_sha256=self.manifest_sha256,
            at_least=self.at_least,
        )


@overload
def open_release(
    release: str | os.PathLike[str],
    *,
    variant: str | None = None,
    providers: Sequence[str] | None = None,
    threads: int | None = None,
    allow_unvalidated: bool = False,
    trust: str | os.PathLike[str] | None = None,
    manifest_sha256: str | None = None,
    at_least: str | int | None = None,
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
    trust: str | os.PathLike[str] | None = None,
    manifest_sha256: str | None = None,
    at_least: str | int | None = None,
) -> S: ...
def open_release(
    release: str | os.PathLike[str],
    *,
    head: type[Session] = Session,
    variant: str | None = None,
    providers: Sequence[str] | None = None,
    threads: int | None = None,
    allow_unvalidated: bool = False,
    trust: str | os.PathLike[str] | None = None,
    manifest_sha256: str | None = None,
    at_least: str | int | None = None,
) -> Session:
    """Open a release and return its head's session, which is called on text and may be shared between threads.

    Args:
        release: a version folder, or artifacts/<name>, whose `latest` is followed.
        head: the session class you expect, such as `distilforge.SequenceClassification`. It makes the result typed,
            and a release of another head is an error.
        variant: the variant to load, "target:precision", such as "onnxruntime-cpu:int8". None selects the best one
            for this machine and logs the reason (logger "distilforge", level INFO). If that one does not start, or not
            with `providers`, the next best is tried (level WARNING).
        providers: the engine's own names of what computes, such as "CPUExecutionProvider", or a GPU, such as
            "cuda:0". All of them are used, or it is an error. None uses the variant's own.
        threads: how many threads one run may use, 1 to 1024. None uses the engine's default.
        allow_unvalidated: accept a variant that did not pass validation.
        trust: a PEM file with the public key or the certificate of the publisher. The release must be signed by it
            (`distilforge sign`) and must hold exactly the files that are signed. Needs the extra `trust`.
        manifest_sha256: the SHA-256 of manifest.json that you expect, in hexadecimal digits.
        at_least: the release must have been made at this time or later, an ISO 8601 time with its zone that is compared
            with `provenance.created`. With `trust`, it may also be a whole number, which is compared with the order
            that the release was signed with. Without `trust` or `manifest_sha256`, nobody vouches for the time.

    The path and size of every file are checked against the manifest, and the SHA-256 of all files except those of
    variants that are not loaded; with `trust`, the SHA-256 of all files. The manifest is checked against itself,
    config.json and the loaded graph.

    Raises:
        ReleaseError: the release is absent, damaged, too new for this package, not validated, of another head, not
            signed by `trust`, not the one that `manifest_sha256` names, or older than `at_least`; or its parts
            contradict each other.
        UnavailableError: the variant, provider, package or device is not available on this machine.
        InputError: an argument is not valid, or the release has no such variant.
    """
    _check_arguments(head, variant, providers, threads)
    folder = resolve(release)
    manifest = _read_manifest(folder, trust, manifest_sha256, at_least)
    session_class = _session_class(manifest, folder, head)
    selection = select_variant(manifest, variant, threads=threads, allow_unvalidated=allow_unvalidated)
    _logger.info("%s %s: %s", manifest.name, manifest.version, selection.reason)
    shared = _shared_files(manifest)
    parsed = check_files(folder, manifest, digests=shared)
    # A signature is for all files, so that all are hashed, each of them once
    others = selection.variant.files if trust is None else tuple(manifest.files.keys() - shared)
    with ThreadPoolExecutor(max_workers=1) as pool:
        # Hashing releases the interpreter lock, so the engine's package is imported at the same time
        digest_check = pool.submit(_check_variant, folder, manifest, selection.variant, others)
        tokenizer = Tokenizer(folder, parsed.tokenizer)
        obstacle = _prepare(selection)
        checked = digest_check.result()
    failures: dict[str, UnavailableError] = {}
    while True:
        try:
            if obstacle is not None:
                raise obstacle
            engine = _load(selection, folder, manifest, checked, providers=providers, threads=threads)
            break
        except UnavailableError as failure:
            # What was asked for by name is not replaced; other variants may know the providers
            if variant is not None:
                raise
            failures[selection.variant.name] = failure
            _logger.warning("%s does not start: %s", selection.variant.name, failure.message)
            try:
                selection = select_variant(
                    manifest,
                    None,
                    threads=threads,
                    allow_unvalidated=allow_unvalidated,
                    failures=_reasons(failures),
                )
            except (ReleaseError, UnavailableError) as error:
                raise (error if providers is None else _without(providers, failures)) from failure
            _forget_frames(failure)
        _logger.info("%s %s: %s", manifest.name, manifest.version, selection.reason)
        checked = _check_variant(folder, manifest, selection.variant, selection.variant.files)
        obstacle = _prepare(selection)
    check_interface(manifest, selection.variant, engine)
    return session_class(
        SessionParts(
            manifest=manifest,
            variant=selection.variant,
            engine=engine,
            tokenizer=tokenizer,
            vocabulary=parsed.configuration.vocab_size,
            reopen=Opening(
                release=str(folder),
                variant=selection.variant.name,
                providers=None if providers is None else tuple(providers),
                threads=threads,
                allow_unvalidated=allow_unvalidated,
                trust=None if trust is None else str(Path(trust).absolute()),
                manifest_sha256=manifest_sha256,
                at_least=at_least,
            ),
        )
    )


def _check_arguments(head: object, variant: object, providers: object, threads: object) -> None:
    """Raise InputError for an argument of `open_release` that no release can take."""
    if threads is not None:
        check_threads(threads)
    if variant is not None and not isinstance(variant, str):
        raise InputError(
            f"variant must be a string such as 'onnxruntime-cpu:int8', found {variant!r:.80}",
            hint="leave it out to have the best one for this machine selected",
        )
    if providers is not None:
        check_names("providers", providers)
    if not isinstance(head, type) or not issubclass(head, Session):
        raise InputError(
            f"head must be a session class, found {head!r:.80}",
            hint="for example head=distilforge.SequenceClassification; leave it out to get the release's own head",
        )


def _without(providers: Sequence[str], failures: Mapping[str, UnavailableError]) -> UnavailableError:
    """The error where no variant starts with `providers`, from those of the variants."""
    if len(failures) == 1:
        return next(iter(failures.values()))
    reasons = "; ".join(f"{name}: {reason}" for name, reason in _reasons(failures).items())
    return UnavailableError(
        f"no variant starts with the providers {', '.join(providers)}: {reasons}",
        hint="leave `providers` out to have those of the best variant",
    )


def _reasons(failures: Mapping[str, UnavailableError]) -> Mapping[str, str]:
    """Why the variants do not run here, as clauses."""
    return {name: f"it does not start: {error.message}" for name, error in failures.items()}


def _forget_frames(error: UnavailableError) -> None:
    """Let go of what was loaded when `error` was raised: the next variant may need the memory."""
    if _logger.isEnabledFor(logging.DEBUG):
        # As text: handlers may keep what they get
        _logger.debug("%s", "".join(traceback.format_exception(error)))
    error.__traceback__ = error.__cause__ = error.__context__ = None


def _prepare(selection: Selection) -> UnavailableError | None:
    """Import the package of the variant's engine; the error where that fails."""
    try:
        selection.backend.prepare()
    except UnavailableError as error:
        return error
    return None


def _check_variant(
    folder: Path, manifest: Manifest, variant: Variant, names: Iterable[str]
) -> tuple[State, ...]:
    """Check the digests of the files `names`, and return the states of the variant's files from before."""
    before = states(folder, variant.files)
    check_digests(folder, manifest, names)
    return before


def _load(
    selection: Selection,
    folder: Path,
    manifest: Manifest,
    checked: tuple[State, ...],
    *,
    providers: Sequence[str] | None,
    threads: int | None,
) -> Engine:
    """Load the variant from files that were in the state `checked` when their digests were checked, and still are.

    Engines read the files again. If a state changed meanwhile, both are done again, since a hard link to a file changes
    its state too.
    """
    variant = selection.variant
    for _ in range(_ATTEMPTS):
        engine = selection.backend.load(
            variant, folder, manifest=manifest, providers=providers, threads=threads
        )
        if states(folder, variant.files) == checked:
            return engine
        del engine
        checked = _check_variant(folder, manifest, variant, variant.files)
    raise ReleaseError(
        f"the files of {variant.name!r} in {str(folder)!r} changed while they were loaded, {_ATTEMPTS} times",
        hint="open it again when nothing writes to it",
    )


def _read_manifest(
    folder: Path,
    trust: str | os.PathLike[str] | None,
    manifest_sha256: str | None,
    at_least: str | int | None,
) -> Manifest:
    """The manifest of `folder`; ReleaseError if the release is not what the arguments of `open_release` ask for."""
    if trust is None and manifest_sha256 is None and at_least is None:
        return read_manifest(folder)
    # Imported only for those who pass one of these arguments
    from distilforge.trust.opening import read_trusted

    release = read_trusted(folder, trust=trust, manifest_sha256=manifest_sha256, at_least=at_least)
    if release.signer:
        _logger.info("%s is signed by %s", folder, release.signer)
    return release.manifest


def _session_class(manifest: Manifest, folder: Path, expected: type[S]) -> type[S]:
    session_class = heads.get(manifest.head)
    if session_class is None:
        raise ReleaseError(
            f"{str(folder)!r} has the head {manifest.head!r}; this distilforge does not know that head",
            hint=f"pip install --upgrade distilforge; {nearest(manifest.head, heads.names())}",
        )
    if not issubclass(session_class, expected):
        raise ReleaseError(
            f"{str(folder)!r} has the head {manifest.head!r}: its session is {session_class.__name__}, "
            f"not {expected.__name__}",
            hint=f"open a release of that head, or pass head=distilforge.{session_class.__name__}",
        )
    return session_class


def _shared_files(manifest: Manifest) -> set[str]:
    """Names of the files that all variants share, such as the tokenizer's."""
    return set(manifest.files) - {file for variant in manifest.variants for file in variant.files}
