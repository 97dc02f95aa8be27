"""exact-int8: ONNX Runtime's products of unsigned by signed 8-bit matrices do not saturate on this machine.

On x86 without VNNI its kernels add pairs of products in 16 bits (VPMADDUBSW), which hold 2 x 255 x 64 but not
2 x 255 x 127: with 8-bit weights some sums are cut off, and answers differ from those that were validated. A product
of the largest values tells, on any processor.
"""

from functools import cache

import numpy as np
import numpy.typing as npt

from distilforge.machine import needs
from distilforge.machine.onnx_bytes import matmul_integer

INNER, COLUMNS = 64, 32


@needs.register("exact-int8")
@cache
def exact_int8() -> str | None:
    """What a product of the largest values came to where it is not exact; about 1 ms once onnxruntime is imported."""
    return deviation(*extremes())


def extremes() -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int8]]:
    """Activations (rows, INNER) and weights (INNER, COLUMNS) whose pairs of products are the largest there are."""
    activations = np.full((4, INNER), 255, dtype=np.uint8)
    activations[1, ::2], activations[2], activations[3, 1::2] = 0, 128, 1
    weights = np.full((INNER, COLUMNS), 127, dtype=np.int8)
    weights[:, 1::3], weights[::2, 2::3] = -128, -128
    return activations, weights


def deviation(activations: npt.NDArray[np.uint8], weights: npt.NDArray[np.int8]) -> str | None:
    """What ONNX Runtime makes of the product where that is not exact, as a clause; None where it is.

    The weights are a constant of the graph, as in the graphs that need this: such matrices are packed ahead, and the
    packed ones have kernels of their own. One row alone has another kernel than several.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        matmul_integer(weights), options, providers=["CPUExecutionProvider"]
    )
    exact = activations.astype(np.int32) @ weights.astype(np.int32)
    for rows in (slice(0, 1), slice(None)):
        (found,) = session.run(None, {"activations": activations[rows]})
        if not np.array_equal(found, exact[rows]):
            place = np.unravel_index(np.argmax(found != exact[rows]), found.shape)
            return (
                f"int8 matrix products saturate here: ONNX Runtime {onnxruntime.__version__} made "
                f"{found[place]} of a sum that is {exact[rows][place]}"
            )
    return None
