"""What this machine can do, asked by the names in a variant's `needs`: one file a need, nothing else needs an edit.

A need is answered by observation, never from a table of processors, so that one nobody has heard of is answered too.
"""

from collections.abc import Callable, Iterable

from distilforge.registry import Registry, nearest

Need = Callable[[], str | None]
"""None where the machine meets the need, else what was observed instead; quick, and asked once a process."""

needs: Registry[Need] = Registry(__name__)


def lacking(names: Iterable[str]) -> str | None:
    """The first of `names` that this machine does not meet, with what was observed; None where it meets them all."""
    for name in names:
        need = needs.get(name)
        if need is None:
            return (
                f"it needs {name!r}, which this distilforge does not know; {nearest(name, needs.names())}; "
                "pip install --upgrade distilforge"
            )
        observed = need()
        if observed is not None:
            return f"it needs {name!r}, and {observed}"
    return None
