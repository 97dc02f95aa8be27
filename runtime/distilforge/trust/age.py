"""Whether a release is at least as new as an application asks for."""

from datetime import datetime

from distilforge.errors import InputError, ReleaseError
from distilforge.manifest import Manifest

_EXAMPLE = (
    'for example at_least="2026-11-25T12:00:00+00:00", or at_least=7 for a signed release with an order'
)


def check_at_least(at_least: object, *, signed: bool) -> str | int:
    """`at_least` as `distilforge.open` takes it: an ISO 8601 time with its zone, or an order.

    Raises InputError for anything else, and for an order if the release need not be `signed`.
    """
    if isinstance(at_least, int) and not isinstance(at_least, bool):
        if not signed:
            raise InputError(
                f"at_least={at_least} is an order, which only a signature can vouch for",
                hint="pass trust= too, or a time",
            )
        return at_least
    if not isinstance(at_least, str):
        raise InputError(f"at_least must be a time or an order, found {at_least!r:.80}", hint=_EXAMPLE)
    try:
        moment = datetime.fromisoformat(at_least)
    except ValueError as cause:
        raise InputError(f"at_least is not an ISO 8601 time: {at_least!r:.80}", hint=_EXAMPLE) from cause
    if moment.tzinfo is None:
        raise InputError(f"at_least must say its time zone, found {at_least!r}", hint=_EXAMPLE)
    return at_least


def check_age(manifest: Manifest, order: int | None, at_least: str | int) -> None:
    """Raise ReleaseError if the release of `manifest`, with `order`, is older than `at_least`."""
    release = f"{manifest.name} {manifest.version}"
    hint = "somebody may have put an old version back; get the current one from its publisher"
    if isinstance(at_least, int):
        if order is None:
            raise ReleaseError(
                f"{release} was signed without an order, and must have at least {at_least}",
                hint="`distilforge sign RELEASE --key KEY --order N` gives it one",
            )
        if order < at_least:
            raise ReleaseError(
                f"{release} is too old: its order is {order}, and must be at least {at_least}", hint=hint
            )
        return
    created = manifest.provenance.created
    try:
        moment = datetime.fromisoformat(created)
    except ValueError as cause:
        raise ReleaseError(
            f"{release} does not say when it was made: {created!r}", hint="build it again"
        ) from cause
    if moment.tzinfo is None:
        raise ReleaseError(
            f"{release} does not say in which time zone it was made: {created!r}", hint="build it again"
        )
    if moment < datetime.fromisoformat(at_least):
        raise ReleaseError(
            f"{release} is too old: it was made at {created}, and must be of {at_least} or later", hint=hint
        )
