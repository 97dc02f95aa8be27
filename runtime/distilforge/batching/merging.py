"""Requests as the arrays of one run, and its outputs as those of each request."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from distilforge.batching.requests import BATCH, SEQUENCE, Request
from distilforge.engine import Array
from distilforge.manifest import Manifest, Tensor


def merge(requests: Sequence[Request], manifest: Manifest, padding: Mapping[str, int]) -> dict[str, Array]:
    """The feeds of all requests along the batch axis, padded to the longest.

    `padding` has the value that pads an input, by its name; others are padded with 0.
    """
    if len(requests) == 1:
        return dict(requests[0].feeds)
    longest = max(request.length for request in requests)
    return {
        tensor.name: np.concatenate(
            [
                _padded(request.feeds[tensor.name], tensor, longest, padding.get(tensor.name, 0))
                for request in requests
            ],
            axis=tensor.shape.index(BATCH),
        )
        for tensor in manifest.inputs
    }


def split(
    outputs: Mapping[str, Array], requests: Sequence[Request], manifest: Manifest
) -> Iterator[dict[str, Array]]:
    """The outputs of each request, without the rows of others and without the padding of `merge`."""
    if len(requests) == 1:
        yield dict(outputs)
        return
    first = 0
    for request in requests:
        bounds = {BATCH: slice(first, first + request.rows), SEQUENCE: slice(0, request.length)}
        # A view would keep the outputs of all others alive
        yield {
            tensor.name: outputs[tensor.name][
                tuple(bounds.get(str(axis), slice(None)) for axis in tensor.shape)
            ].copy()
            for tensor in manifest.outputs
        }
        first += request.rows


def _padded(array: Array, tensor: Tensor, length: int, value: int) -> Array:
    if SEQUENCE not in tensor.shape:
        return array
    axis = tensor.shape.index(SEQUENCE)
    widths = [(0, 0)] * array.ndim
    widths[axis] = (0, length - array.shape[axis])
    return np.pad(array, widths, constant_values=value)
