"""The columns of each head: one file per head, named like it. A new file here is a new head for `distilforge run`."""

from distilforge.bulk.columns import HeadColumns
from distilforge.errors import InputError
from distilforge.registry import Registry, nearest

columns: Registry[type[HeadColumns]] = Registry(__name__)
"""The columns by the head's name."""


def columns_of(head: str) -> HeadColumns:
    """The columns of `head`; InputError for a head that cannot answer files."""
    kind = columns.get(head)
    if kind is None:
        raise InputError(
            f"the head {head!r} cannot answer files",
            hint=f"write distilforge/bulk/heads/{head}.py; {nearest(head, columns.names())}",
        )
    return kind()
