"""openvino-exact-int8: OpenVINO's products of unsigned by signed 8-bit matrices do not saturate on this machine.

On x86 without VNNI its kernels add pairs of products in 16 bits, as ONNX Runtime's do (distilforge.machine.exact_int8).
The instructions that the system lists show that, and openvino does not have to be imported. Elsewhere the same product
of the largest values is computed.
"""

from functools import cache

import numpy as np
import numpy.typing as npt

from distilforge.machine import needs, sufficient_instructions
from distilforge.machine.exact_int8 import extremes, wrong_sum
from distilforge.machine.onnx_bytes import quantized_matmul
from distilforge.openvino import one_product
from distilforge.records.processor import this_processor

X86 = ("avx2", "avx512f")
"""Instruction sets of x86 that OpenVINO's 8-bit kernels use."""
VNNI = ("avx512_vnni", "avx_vnni", "amx_int8")
"""Instruction sets that add products of 8 bits in 32 bits."""
sufficient_instructions.register("openvino-exact-int8")(VNNI)


@needs.register("openvino-exact-int8")
@cache
def openvino_exact_int8() -> str | None:
    """Why the products are not exact, or None if they are; takes about 50 ms once the engine is imported."""
    sets = this_processor().instruction_sets
    if set(sets) & set(X86) and not set(sets) & set(VNNI):
        return (
            f"int8 matrix products saturate in OpenVINO on x86 without {' or '.join(VNNI)}; the processor has "
            f"{', '.join(sets)}"
        )
    return deviation(*extremes())


def deviation(activations: npt.NDArray[np.uint8], weights: npt.NDArray[np.int8]) -> str | None:
    """OpenVINO's wrong result for the product, as a clause; None if the result is exact."""
    run = one_product.runner(quantized_matmul(weights), "f32")
    return wrong_sum(lambda rows: run(rows.astype(np.float32)), activations, weights, "OpenVINO")
