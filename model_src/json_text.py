"""JSON and TOML from strangers: every refusal is a ValueError, and values are never nested deeply."""

import json
from collections.abc import Iterable

MOST_LEVELS = 64
"""The most levels of objects and lists inside each other; Python cannot print values of a thousand levels."""
MOST_VALUES = 2_000_000
"""The most values; a vocabulary of 250,000 entries with as many merges has 1,000,000."""


def parse(text: str) -> object:
    """The value of the JSON document `text`.

    Raises ValueError if it is malformed, has more than MOST_VALUES values or is nested deeper than MOST_LEVELS. Python
    raises ValueError for a whole number of more than 4,300 digits too.
    """
    # Commas and brackets in texts count too: a bound is enough
    if sum(map(text.count, ",[{")) > MOST_VALUES:
        raise ValueError(f"it has more than {MOST_VALUES:,} values")
    try:
        value: object = json.loads(text)
    except RecursionError as cause:
        raise ValueError(f"it is nested deeper than {MOST_LEVELS} levels") from cause
    check_levels(value)
    return value


def check_levels(value: object) -> None:
    """Raise ValueError if objects and lists in `value` are nested deeper than MOST_LEVELS."""
    containers: list[object] = [value] if isinstance(value, (dict, list)) else []
    for _ in range(MOST_LEVELS):
        containers = [entry for container in containers for entry in _containers(container)]
        if not containers:
            return
    raise ValueError(f"it is nested deeper than {MOST_LEVELS} levels")


def _containers(container: object) -> list[object]:
    """The objects and lists that `container` holds directly."""
    entries = container.values() if isinstance(container, dict) else container
    assert isinstance(entries, Iterable)
    return [entry for entry in entries if isinstance(entry, (dict, list))]
