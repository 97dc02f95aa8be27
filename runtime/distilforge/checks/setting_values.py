"""The values that a setting of an engine may have, where a release names the setting."""

Values = range | tuple[str, ...]
"""The whole numbers, or the words, that a setting may have."""

_MOST_DIGITS = 20


def fits(value: str, values: Values) -> bool:
    """Whether `value` is one of `values`; a whole number is written in decimal digits."""
    if isinstance(values, tuple):
        return value in values
    return value.isascii() and value.isdigit() and len(value) <= _MOST_DIGITS and int(value) in values


def described(values: Values) -> str:
    """What a value must be, as the end of a sentence."""
    if isinstance(values, tuple):
        return f"one of {', '.join(values)}"
    return f"a whole number from {values.start} to {values.stop - 1}"
