"""What a variant can need of a machine, by the names in `needs`: one file each; to add one, edit nothing else.

A need is tested by an experiment, not looked up in a table of processors, so that unknown processors work too. Where
an experiment needs an engine that is slow to import, the instructions of the processor decide first.
"""

from collections.abc import Callable, Iterable

from distilforge.errors import UnavailableError
from distilforge.records.processor import this_processor
from distilforge.registry import Registry, nearest

Need = Callable[[], str | None]
"""Returns None where the machine meets the need, and otherwise what was observed, as a clause; quick."""

needs: Registry[Need] = Registry(__name__)

sufficient_instructions: Registry[tuple[str, ...]] = Registry(__name__)
"""Instruction sets of which one is enough for a need, by the need's name; a need may be absent."""


def expected_lacking(names: Iterable[str]) -> str | None:
    """What `lacking` will most likely return, without an experiment where the processor has instructions that suffice.

    What loads a variant must still ask `lacking`.
    """
    listed = set(this_processor().instruction_sets)
    return lacking(name for name in names if not listed & set(sufficient_instructions.get(name) or ()))


def lacking(names: Iterable[str]) -> str | None:
    """The first of `names` that this machine does not meet, with what was observed; None if it meets them all.

    A need that cannot be tested, because an engine does not import, is not met.
    """
    for name in names:
        need = needs.get(name)
        if need is None:
            return (
                f"it needs {name!r}, which this distilforge does not know; {nearest(name, needs.names())}; "
                "pip install --upgrade distilforge"
            )
        try:
            observed = need()
        except UnavailableError as error:
            observed = error.message
        if observed is not None:
            return f"it needs {name!r}, and {observed}"
    return None
