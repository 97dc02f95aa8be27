"""The columns of each head: one file per head, named like it. A new file here is a new head for `distilforge run`."""

from distilforge.bulk.columns import HeadColumns
from distilforge.registry import Registry

columns: Registry[type[HeadColumns]] = Registry(__name__)
"""The columns by the head's name."""
