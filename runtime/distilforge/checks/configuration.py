"""Holds a manifest against the release's config.json, and against what its head needs."""

from collections.abc import Iterator, Mapping

from distilforge.errors import ReleaseError
from distilforge.manifest import Manifest
from distilforge.manifest.configuration import ModelConfiguration

_LABELS, _VOCABULARY, _DIM = "labels", "vocabulary", "dim"
_DYNAMIC = ("batch", "sequence", "choices")


def check_configuration(
    manifest: Manifest,
    configuration: ModelConfiguration,
    place: str,
    *,
    architecture: str,
    output_axes: Mapping[str, tuple[str, ...]],
) -> None:
    """Raise ReleaseError, with both values, if `manifest` says what the configuration does not; `place` names both.

    `architecture` and `output_axes` are those of the head's session class (distilforge.session.Session). A manifest may
    leave out labels and problem type where the head does not use them.
    """
    for problem in _differences(manifest, configuration, architecture, output_axes):
        raise ReleaseError(
            f"the manifest of {place!r} does not fit its config.json: {problem}",
            hint="publish the release again; do not use it unless you trust where it came from",
        )


def _differences(
    manifest: Manifest,
    configuration: ModelConfiguration,
    architecture: str,
    axes: Mapping[str, tuple[str, ...]],
) -> Iterator[str]:
    uses_labels = any(_LABELS in output for output in axes.values())
    expected = configuration.labels
    if manifest.labels != expected and (manifest.labels or uses_labels):
        yield _labels_differ(manifest.labels, expected)
    if manifest.problem_type != configuration.problem_type and (
        manifest.problem_type is not None or uses_labels
    ):
        yield (
            f"it has the problem_type {manifest.problem_type!r:.80}, and config.json "
            f"{configuration.problem_type!r:.80}"
        )
    longest = configuration.max_position_embeddings
    sequence = manifest.spans["sequence"].high if "sequence" in manifest.spans else 0
    if longest is not None and sequence > longest:
        yield f"the span of 'sequence' goes to {sequence} tokens, and max_position_embeddings is {longest}"
    named = configuration.architectures
    if architecture and named != (architecture,):
        yield (
            f"the head {manifest.head!r} is {architecture!r}, and config.json has the architectures "
            f"{', '.join(named)!r:.200}"
        )
    sizes: dict[str, int | None] = {
        _LABELS: len(expected),
        _VOCABULARY: configuration.vocab_size,
        _DIM: configuration.dim,
    }
    yield from _outputs_differ(manifest, axes, sizes)


def _labels_differ(labels: tuple[str, ...], expected: tuple[str, ...]) -> str:
    if len(labels) != len(expected):
        return f"it has {len(labels)} labels, and config.json has {len(expected)}"
    index = next(index for index, label in enumerate(labels) if label != expected[index])
    return f"its label {index} is {labels[index]!r:.80}, and that of config.json is {expected[index]!r:.80}"


def _outputs_differ(
    manifest: Manifest, axes: Mapping[str, tuple[str, ...]], sizes: Mapping[str, int | None]
) -> Iterator[str]:
    """How the outputs differ from `axes`, those of the head; `sizes` are of the axes that the configuration fixes."""
    outputs = {tensor.name: tensor.shape for tensor in manifest.outputs}
    for name, own in axes.items():
        for axis in own:
            if axis in _DYNAMIC and axis not in manifest.spans:
                yield f"the head {manifest.head!r} needs a span of {axis!r}, found {', '.join(manifest.spans)!r:.200}"
        if name not in outputs:
            yield f"the head {manifest.head!r} needs the output {name!r}, found {', '.join(outputs)!r:.200}"
            return
        expected = tuple(sizes.get(axis) or axis for axis in own)
        shape = outputs[name]
        fits = len(shape) == len(expected) and all(
            # A name that is not one of a span's stands for a size that only the graph fixes
            size == other
            or (isinstance(size, int) and isinstance(other, str) and other not in manifest.spans)
            for size, other in zip(shape, expected, strict=True)
        )
        if not fits:
            yield f"the output {name!r} has the shape {_shape(shape)}, and the head's is {_shape(expected)}"


def _shape(sizes: tuple[int | str, ...]) -> str:
    return f"({', '.join(map(str, sizes))})"
