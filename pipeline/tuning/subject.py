"""A compiled plan as a subject of a timing, which opens it in a process of its own."""

from dataclasses import replace
from pathlib import Path

from distilforge.backends import backends
from distilforge.benchmark.variant import SessionRunner
from distilforge.manifest import Manifest, Variant
from distilforge.release import MANIFEST
from distilforge.session import Session, SessionParts
from distilforge.timing.subject import Subject
from distilforge.tokenizer import Tokenizer


def subject(
    name: str,
    *,
    variant: Path,
    folder: Path,
    release: Path,
    threads: int,
    vocabulary: int,
    choices: int | None,
) -> Subject:
    """The subject `name` for the plan that was compiled into `folder`; the JSON file `variant` describes the result.

    `release` holds the tokenizer and a manifest without variants. The subject answers random texts of `choices`
    choices (None if the head does not take choices) with ids below `vocabulary`, on `threads` threads.
    """
    return Subject(
        name=name,
        opener="pipeline.tuning.subject:open_plan",
        arguments={
            "variant": str(variant),
            "folder": str(folder),
            "release": str(release),
            "threads": threads,
            "vocabulary": vocabulary,
            "choices": choices,
        },
    )


def open_plan(
    variant: str, folder: str, release: str, threads: int, vocabulary: int, choices: int | None
) -> SessionRunner:
    """Open a subject in its own process, with the arguments of `subject`; raises the errors of `open_session`."""
    path = Path(release) / MANIFEST
    session = open_session(
        Variant.from_json(Path(variant).read_text(encoding="utf-8"), variant),
        Path(folder),
        manifest=Manifest.from_json(path.read_text(encoding="utf-8"), str(path)),
        tokenizer=Tokenizer(Path(release)),
        threads=threads,
        vocabulary=vocabulary,
    )
    return SessionRunner(session, vocabulary=vocabulary, choices=choices)


def open_session(
    variant: Variant,
    folder: Path,
    *,
    manifest: Manifest,
    tokenizer: Tokenizer,
    threads: int,
    vocabulary: int,
) -> Session:
    """A session of `variant`, whose files are in `folder`; raises the backend's errors for files it cannot load."""
    backend = backends.get(variant.target)
    assert backend is not None, variant.target
    return Session(
        SessionParts(
            manifest=replace(manifest, variants=(variant,)),
            variant=variant,
            engine=backend.load(variant, folder, manifest=manifest, providers=None, threads=threads),
            tokenizer=tokenizer,
            vocabulary=vocabulary,
        )
    )
