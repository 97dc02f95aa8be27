"""exact-int8-precise: ONNX Runtime's 8-bit products are exact on this machine with the setting in exact_int8.PRECISE.

On x86 without VNNI ONNX Runtime then turns signed weights into unsigned ones, whose kernels add products in 32 bits
(onnxruntime_session_options_config_keys.h, x64quantprecision). Processors with exact kernels are not affected.
"""

from functools import cache

from distilforge.machine import needs
from distilforge.machine.exact_int8 import PRECISE, deviation, exact_int8, extremes
from distilforge.versions import is_older

OLDEST = "1.30"
"""Before it, ONNX Runtime aborts the process where it turns weights that have no zero point into unsigned ones."""


@needs.register("exact-int8-precise")
@cache
def exact_int8_precise() -> str | None:
    """Why the products are not exact, or None if they are; takes about 1 ms once onnxruntime is imported."""
    import onnxruntime

    observed = exact_int8()
    if observed is None:
        # Exact without the setting too, which changes nothing then
        return None
    if is_older(onnxruntime.__version__, OLDEST):
        return f"{observed}; onnxruntime {OLDEST} and later can be exact: pip install --upgrade onnxruntime"
    return deviation(*extremes(), PRECISE)
