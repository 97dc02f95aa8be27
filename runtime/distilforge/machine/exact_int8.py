"""exact-int8: ONNX Runtime's products of unsigned by signed 8-bit matrices do not saturate on this machine.

On x86 without VNNI its kernels add pairs of products in 16 bits (VPMADDUBSW), which can hold 2 x 255 x 64 but not
2 x 255 x 127: with 8-bit weights some sums saturate, and the answers differ from those that were validated. A product
of the largest values shows it, on any processor. Variants with the setting in PRECISE need exact-int8-precise instead.
"""

from collections.abc import Callable, Mapping
from functools import cache
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from distilforge.machine import needs
from distilforge.machine.onnx_bytes import matmul_integer

INNER, COLUMNS = 64, 32
PRECISE: Mapping[str, str] = MappingProxyType({"session.x64quantprecision": "1"})
"""Makes ONNX Runtime's session use exact kernels where the usual ones saturate; elsewhere it changes nothing."""
_USUAL: Mapping[str, str] = MappingProxyType({})


@needs.register("exact-int8")
@cache
def exact_int8() -> str | None:
    """Why the products are not exact, or None if they are; takes about 1 ms once onnxruntime is imported."""
    return deviation(*extremes())


def extremes() -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int8]]:
    """Activations (rows, INNER) and weights (INNER, COLUMNS) with the largest possible pairs of products."""
    activations = np.full((4, INNER), 255, dtype=np.uint8)
    activations[1, ::2], activations[2], activations[3, 1::2] = 0, 128, 1
    weights = np.full((INNER, COLUMNS), 127, dtype=np.int8)
    weights[:, 1::3], weights[::2, 2::3] = -128, -128
    return activations, weights


def deviation(
    activations: npt.NDArray[np.uint8], weights: npt.NDArray[np.int8], entries: Mapping[str, str] = _USUAL
) -> str | None:
    """ONNX Runtime's wrong result for the product, as a clause; None if the result is exact.

    `entries` are settings of the session, as `Variant.session` has them.

    The weights are a constant, as in the graphs that need this: ONNX Runtime packs constants and has special kernels
    for them.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    for key, value in entries.items():
        options.add_session_config_entry(key, value)
    session = onnxruntime.InferenceSession(
        matmul_integer(weights), options, providers=["CPUExecutionProvider"]
    )

    def run(rows: npt.NDArray[np.uint8]) -> npt.NDArray[np.int32]:
        product: npt.NDArray[np.int32] = session.run(None, {"activations": rows})[0]
        return product

    return wrong_sum(run, activations, weights, f"ONNX Runtime {onnxruntime.__version__}")


def wrong_sum(
    run: Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.generic]],
    activations: npt.NDArray[np.uint8],
    weights: npt.NDArray[np.int8],
    engine: str,
) -> str | None:
    """The first sum of the product that `run` gets wrong, as a clause about `engine`; None if all are exact.

    A single row may have another kernel than several rows, so `run` gets one row and then all.
    """
    exact = activations.astype(np.int32) @ weights.astype(np.int32)
    for rows in (slice(0, 1), slice(None)):
        product = run(activations[rows])
        if not np.array_equal(product, exact[rows]):
            place = np.unravel_index(np.argmax(product != exact[rows]), product.shape)
            return (
                f"int8 matrix products saturate here: {engine} computed {product[place]:.0f} for a sum that is "
                f"{exact[rows][place]}"
            )
    return None
