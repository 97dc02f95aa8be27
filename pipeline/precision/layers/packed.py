"""Packed projections: the pass packed_qkv makes one linear layer of the projections of attention."""

PACKED = "qkv_lin"
_PARTS = {PACKED: ("q_lin", "k_lin", "v_lin"), "kv_lin": ("k_lin", "v_lin")}


def parts(module: str) -> tuple[str, ...]:
    """The modules that the packed projection `module` was made of; nothing for another module."""
    head, _, last = module.rpartition(".")
    return tuple(f"{head}.{part}" for part in _PARTS.get(last, ()))


def packed_with(module: str) -> tuple[str, ...]:
    """The modules in one packed projection with `module`, itself among them; nothing for another module."""
    head, _, last = module.rpartition(".")
    return parts(f"{head}.{PACKED}") if last in _PARTS[PACKED] else ()
