"""openvino-exact-int8: OpenVINO's products of unsigned by signed 8-bit matrices do not saturate on this machine.

On x86 without VNNI its kernels add pairs of products in 16 bits, as ONNX Runtime's do (distilforge.machine.exact_int8),
and the same product of the largest values shows it.
"""

from functools import cache

import numpy as np
import numpy.typing as npt

from distilforge.machine import needs
from distilforge.machine.exact_int8 import extremes, wrong_sum
from distilforge.machine.onnx_bytes import quantized_matmul
from distilforge.openvino import one_product


@needs.register("openvino-exact-int8")
@cache
def openvino_exact_int8() -> str | None:
    """Why the products are not exact, or None if they are; takes about 50 ms once the engine is imported."""
    return deviation(*extremes())


def deviation(activations: npt.NDArray[np.uint8], weights: npt.NDArray[np.int8]) -> str | None:
    """OpenVINO's wrong result for the product, as a clause; None if the result is exact."""
    run = one_product.runner(quantized_matmul(weights), "f32")
    return wrong_sum(lambda rows: run(rows.astype(np.float32)), activations, weights, "OpenVINO")
