"""A release's variant as a subject of a timing, opened as applications open it."""

from collections.abc import Sequence
from pathlib import Path

from distilforge.manifest import Manifest, Span
from distilforge.opening.open import open_release
from distilforge.session import Session
from distilforge.timing.feeds import Ids, random_feeds
from distilforge.timing.shape import Shape
from distilforge.timing.subject import Runner, Subject

USUAL_SHAPES = tuple(Shape.parse(text) for text in ("1x16", "1x128", "8x128"))
"""The shapes at which a release is timed: one short text, one of usual length, and a batch."""


class SessionRunner(Runner):
    """Runs a session on random inputs."""

    def __init__(self, session: Session, *, vocabulary: int, choices: int | None) -> None:
        """`vocabulary` bounds the random token ids; `choices` is as in `random_feeds`."""
        self._session = session
        self._vocabulary, self._choices = vocabulary, choices
        self._feeds: dict[str, Ids] = {}

    def feed(self, shape: Shape) -> None:
        self._feeds = random_feeds(shape, vocabulary=self._vocabulary, choices=self._choices)

    def run(self) -> None:
        self._session.run(self._feeds)


def variant_subject(
    folder: Path, manifest: Manifest, name: str, *, vocabulary: int, threads: int | None
) -> Subject:
    """The variant `name` of the release in `folder`, as a subject.

    `threads` is the number of threads of a run; None means the engine's default. `vocabulary` bounds the random token
    ids.
    """
    return Subject(
        name=name,
        opener="distilforge.benchmark.variant:open_variant",
        arguments={
            "folder": str(folder),
            "variant": name,
            "threads": threads,
            "vocabulary": vocabulary,
            "choices": usual_choices(manifest),
        },
    )


def open_variant(
    folder: str, variant: str, threads: int | None, vocabulary: int, choices: int | None
) -> SessionRunner:
    """The opener of `variant_subject`, for its own process; raises what `distilforge.open` raises."""
    session = open_release(folder, variant=variant, threads=threads, allow_unvalidated=True)
    return SessionRunner(session, vocabulary=vocabulary, choices=choices)


def usual_choices(manifest: Manifest) -> int | None:
    """How many choices each text is timed with; None for heads without choices."""
    span = manifest.spans.get("choices")
    return None if span is None else span.usual


def shapes_within_spans(shapes: Sequence[Shape], manifest: Manifest) -> tuple[Shape, ...]:
    """`shapes`, with sizes outside of the release's spans moved to the nearest bound, each shape once."""
    batch, tokens = manifest.spans["batch"], manifest.spans["sequence"]
    clamped = (
        Shape(batch=_clamped(shape.batch, batch), tokens=_clamped(shape.tokens, tokens)) for shape in shapes
    )
    return tuple(dict.fromkeys(clamped))


def _clamped(size: int, span: Span) -> int:
    return min(max(size, span.low), span.high)
