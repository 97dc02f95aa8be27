"""Holds a manifest against the inputs and outputs that a loaded engine reports, and against what it answers."""

from collections.abc import Iterator, Mapping, Sequence

from distilforge.engine import Array, Engine
from distilforge.errors import EngineError, ReleaseError
from distilforge.manifest import Manifest, Span, Tensor, Variant


def check_interface(manifest: Manifest, variant: Variant, engine: Engine) -> None:
    """Raise ReleaseError if the engine's inputs or outputs differ from the manifest's, with both.

    An engine may leave sizes and types open: only what it reports is compared.
    """
    for problem in (
        *_differences("input", manifest.inputs, engine.inputs, manifest.spans),
        *_differences("output", manifest.outputs, engine.outputs, manifest.spans),
    ):
        raise ReleaseError(
            f"the manifest does not fit {variant.files[0]!r} of the variant {variant.name!r}: {problem}",
            hint="publish the release again; do not use it unless you trust where it came from",
        )


def _differences(
    kind: str, listed: Sequence[Tensor], reported: Sequence[Tensor], spans: Mapping[str, Span]
) -> Iterator[str]:
    own = {tensor.name: tensor for tensor in reported}
    names = [tensor.name for tensor in listed]
    if sorted(names) != sorted(own):
        yield (f"it has the {kind}s {', '.join(names)!r:.200}, and the file has {', '.join(own)!r:.200}")
        return
    for tensor in listed:
        other = own[tensor.name]
        if other.dtype and tensor.dtype != other.dtype:
            yield f"its {kind} {tensor.name!r} is {tensor.dtype}, and the file's is {other.dtype:.80}"
        if len(tensor.shape) != len(other.shape) or not all(
            _agree(size, reported_size, spans)
            for size, reported_size in zip(tensor.shape, other.shape, strict=True)
        ):
            yield (
                f"its {kind} {tensor.name!r} has the shape {_shape(tensor.shape)}, and the file's has "
                f"{_shape(other.shape)}"
            )


def _agree(size: int | str, reported: int | str, spans: Mapping[str, Span]) -> bool:
    """Whether the manifest's size of a dimension, or its axis, can be what the engine reports."""
    if isinstance(reported, str):
        # A name that is not one of the manifest's axes says nothing
        return isinstance(size, int) or reported == size or reported not in spans
    if isinstance(size, int):
        return size == reported
    return size not in spans or (spans[size].low == spans[size].high == reported)


def check_outputs(outputs: Mapping[str, Array], feeds: Mapping[str, Array], manifest: Manifest) -> None:
    """Raise EngineError if an output does not have the shape that the manifest says; `feeds` have its inputs' shapes.

    A graph may report another shape than it computes.
    """
    sizes: dict[str, int] = {}
    for tensor in manifest.inputs:
        sizes |= {
            axis: size
            for axis, size in zip(tensor.shape, feeds[tensor.name].shape, strict=True)
            if isinstance(axis, str)
        }
    for tensor in manifest.outputs:
        array = outputs.get(tensor.name)
        if array is None:
            raise EngineError(
                f"the engine did not answer the output {tensor.name!r}, which the manifest has",
                hint="publish the release again",
            )
        expected = tuple(size if isinstance(size, int) else sizes.get(size) for size in tensor.shape)
        fits = len(expected) == array.ndim and all(
            size is None or size == actual for size, actual in zip(expected, array.shape, strict=True)
        )
        if not fits:
            raise EngineError(
                f"the engine answered {tensor.name!r} with the shape {array.shape}; the manifest says "
                f"{_shape(tensor.shape)} for this batch of {sizes}",
                hint="publish the release again",
            )


def _shape(sizes: Sequence[int | str]) -> str:
    return f"({', '.join(map(str, sizes)):.200})"
