"""openvino-bf16: the processor multiplies bfloat16 matrices (AMX-BF16 or AVX512-BF16), and OpenVINO uses that.

OpenVINO takes bf16 for a hint: without AVX-512 it computes in f32 instead, and with an AVX-512 that has no bf16
instructions it imitates them, slowly. The first shows in what OpenVINO reports, the second in what the processor has.
"""

from functools import cache

import numpy as np

from distilforge.machine import needs, sufficient_instructions
from distilforge.machine.onnx_bytes import quantized_matmul
from distilforge.openvino import one_product, package
from distilforge.records.processor import this_processor

INSTRUCTION_SETS = ("amx_bf16", "avx512_bf16")
sufficient_instructions.register("openvino-bf16")(INSTRUCTION_SETS)


@needs.register("openvino-bf16")
@cache
def openvino_bf16() -> str | None:
    """Why bf16 is not computed here, or None if it is; takes about 50 ms once the engine is imported."""
    sets = this_processor().instruction_sets
    # Where the system does not list them, OpenVINO's report is all there is
    if sets and not set(sets) & set(INSTRUCTION_SETS):
        return f"the processor has no {' or '.join(INSTRUCTION_SETS)}; it has {', '.join(sets)}"
    # ONNX Runtime's plug-in does not tell
    if not package.is_installed():
        return None
    used = one_product.precision_used(quantized_matmul(np.ones((64, 32), np.int8)), "bf16")
    return None if used == "bf16" else f"OpenVINO was asked for bf16 and computes in {used} here"
