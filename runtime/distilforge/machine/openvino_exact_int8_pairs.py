"""openvino-exact-int8-pairs: OpenVINO's products are exact on this machine where pairs of weights are bounded.

As distilforge.machine.exact_int8_pairs, with OpenVINO's kernels. They are expected to be exact on x86: openvino is
imported, and the product computed, only where a variant is loaded.
"""

from functools import cache

from distilforge.machine import needs, sufficient_instructions
from distilforge.machine.exact_int8_pairs import paired_extremes
from distilforge.machine.openvino_exact_int8 import VNNI, X86, deviation

sufficient_instructions.register("openvino-exact-int8-pairs")(VNNI + X86)


@needs.register("openvino-exact-int8-pairs")
@cache
def openvino_exact_int8_pairs() -> str | None:
    """Why the products are not exact, or None if they are; takes about 50 ms once the engine is imported."""
    return deviation(*paired_extremes())
