"""JSON from strangers: every refusal is a ValueError, and no document fills the memory."""

import json

from distilforge.limits import MOST_JSON_VALUES, MOST_LEVELS

_PYTHONS_LIMIT = "Exceeds the limit"
_TOO_DEEP = f"it is nested deeper than {MOST_LEVELS} levels"


def parse(text: str, *, unique_names: bool = True) -> object:
    """The value of the JSON document `text`, which may hold NaN and Infinity.

    Raises ValueError if it is malformed, if it has too many values or levels (distilforge.limits), and with
    `unique_names` if an object has a name twice, which readers understand differently. A number may have 4,300 digits.
    """
    # Commas and brackets in texts count too: a bound is enough
    if sum(map(text.count, ",[{")) > MOST_JSON_VALUES:
        raise ValueError(f"it has more than {MOST_JSON_VALUES:,} values")
    try:
        value: object = json.loads(text, object_pairs_hook=_object if unique_names else None)
    except RecursionError as cause:
        raise ValueError(_TOO_DEEP) from cause
    except ValueError as cause:
        if not str(cause).startswith(_PYTHONS_LIMIT):
            raise
        # Python's message tells the reader of a file how to change Python
        raise ValueError("a number has more than 4,300 digits") from cause
    _check_levels(value)
    return value


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    value = dict(pairs)
    if len(value) < len(pairs):
        names: set[str] = set()
        for name, _ in pairs:
            if name in names:
                raise ValueError(f"an object has the name {name!r:.200} more than once")
            names.add(name)
    return value


def _check_levels(value: object) -> None:
    containers: list[dict[object, object] | list[object]] = [value] if isinstance(value, (dict, list)) else []
    for _ in range(MOST_LEVELS):
        if not containers:
            return
        containers = [
            entry
            for container in containers
            for entry in (container.values() if isinstance(container, dict) else container)
            if isinstance(entry, (dict, list))
        ]
    if containers:
        raise ValueError(_TOO_DEEP)
