"""What a variant can need of a machine, by the names in `needs`: one file each; to add one, edit nothing else.

A need is tested by an experiment, not looked up in a table of processors, so that unknown processors work too.
"""

from collections.abc import Callable, Iterable

from distilforge.registry import Registry, nearest

Need = Callable[[], str | None]
"""Returns None where the machine meets the need, and otherwise what was observed, as a clause; quick."""

needs: Registry[Need] = Registry(__name__)


def lacking(names: Iterable[str]) -> str | None:
    """The first of `names` that this machine does not meet, with what was observed; None if it meets them all."""
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
