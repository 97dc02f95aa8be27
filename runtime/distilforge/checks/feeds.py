"""Check the arrays that a caller feeds before the engine sees them, so that errors name the input."""

from collections.abc import Mapping

import numpy as np

from distilforge.engine import Array, Shapes
from distilforge.errors import InputError
from distilforge.manifest import Manifest, Span, Tensor
from distilforge.registry import nearest


def check_feeds(feeds: Mapping[str, Array], manifest: Manifest, vocabulary: int) -> dict[str, Array]:
    """Return the feeds as contiguous arrays of the dtypes that the manifest declares.

    A dtype that converts without loss is converted, such as int32 or bool to int64. No other is. Token ids must lie
    in [0, vocabulary), and an attention mask holds 0 and 1.

    Raises InputError with the input, the value and its bound: for a name that is missing or unknown, a wrong dtype or
    number of axes, a size outside the manifest's spans, sizes that differ between inputs, and values out of range.
    """
    check_input_names(feeds, manifest)
    sizes: dict[str, tuple[int, str]] = {}
    checked: dict[str, Array] = {}
    for tensor in manifest.inputs:
        array = _of_a_type_that_converts(feeds[tensor.name], tensor)
        _check_shape(array.shape, tensor, manifest.spans, sizes)
        checked[tensor.name] = np.ascontiguousarray(array, dtype=tensor.dtype)
    if "input_ids" in checked:
        _check_range("input_ids", checked["input_ids"], vocabulary - 1, "the vocabulary's last id")
    if "attention_mask" in checked:
        _check_range("attention_mask", checked["attention_mask"], 1, "1 for a token; 0 is padding")
    return checked


def check_input_names(feeds: Mapping[str, object], manifest: Manifest) -> None:
    """Raise InputError if `feeds` is no mapping, or has not exactly the names of the manifest's inputs."""
    names = tuple(tensor.name for tensor in manifest.inputs)
    if not isinstance(feeds, Mapping):
        raise InputError(
            f"feeds must be a dict of arrays by name, found {type(feeds).__name__}",
            hint=f"feed {', '.join(names)}",
        )
    for name in feeds:
        if name not in names:
            if name == "token_type_ids":
                raise InputError(
                    "there is no input 'token_type_ids'", hint="leave it out: DistilBERT has no token types"
                )
            raise InputError(f"there is no input {name!r}", hint=nearest(name, names))
    for name in names:
        if name not in feeds:
            raise InputError(f"the input {name!r} is missing", hint=f"feed all of {', '.join(names)}")


def check_shapes(shapes: Shapes, manifest: Manifest) -> None:
    """Raise InputError unless the manifest allows inputs of the `shapes`."""
    sizes: dict[str, tuple[int, str]] = {}
    for tensor in manifest.inputs:
        _check_shape(shapes[tensor.name], tensor, manifest.spans, sizes)


def _of_a_type_that_converts(array: object, tensor: Tensor) -> Array:
    if not isinstance(array, np.ndarray):
        raise InputError(
            f"the input {tensor.name!r} must be a numpy array, found {type(array).__name__}",
            hint=f"numpy.asarray(..., dtype={tensor.dtype!r})",
        )
    if not np.can_cast(array.dtype, np.dtype(tensor.dtype), "safe"):
        raise InputError(
            f"the input {tensor.name!r} has dtype {array.dtype}; it must convert to {tensor.dtype} without loss",
            hint=f"array.astype({tensor.dtype!r})",
        )
    return array


def _check_shape(
    shape: tuple[int, ...], tensor: Tensor, spans: Mapping[str, Span], sizes: dict[str, tuple[int, str]]
) -> None:
    """Check the shape of one input; `sizes` collects each dynamic axis's size, with the input that had it first."""
    if len(shape) != len(tensor.shape):
        axes = ", ".join(map(str, tensor.shape))
        raise InputError(
            f"the input {tensor.name!r} has {len(shape)} axes; it must have {len(tensor.shape)} ({axes})",
            hint=f"reshape it to ({axes})",
        )
    for axis, size in zip(tensor.shape, shape, strict=True):
        if isinstance(axis, int):
            if size != axis:
                raise InputError(
                    f"the input {tensor.name!r} has size {size} where it must be {axis}",
                    hint="`session.manifest.inputs` has every shape",
                )
            continue
        span = spans[axis]
        if size not in span:
            raise InputError(
                f"the axis {axis!r} of the input {tensor.name!r} has size {size}; "
                f"this release takes {span.low} to {span.high}",
                hint=_how_to_fit(axis, size, span),
            )
        expected, other = sizes.setdefault(axis, (size, tensor.name))
        if size != expected:
            raise InputError(
                f"the axis {axis!r} has size {size} in {tensor.name!r} and {expected} in {other!r}; they must be equal",
                hint="`session.encode` makes inputs that fit each other",
            )


def _check_range(name: str, array: Array, high: int, meaning: str) -> None:
    smallest, largest = int(array.min()), int(array.max())
    if smallest < 0 or largest > high:
        value = smallest if smallest < 0 else largest
        raise InputError(
            f"{name!r} holds {value}; it must be between 0 and {high} ({meaning})",
            hint="`session.encode` makes both from text, with the release's own tokenizer",
        )


def _how_to_fit(axis: str, size: int, span: Span) -> str:
    if size < span.low:
        return (
            "pad it: the attention_mask of padding is 0"
            if axis == "sequence"
            else f"pass at least {span.low}"
        )
    return "call the session on text to have long lists split" if axis == "batch" else "shorten the input"
