"""Variants that need a device which is not here: their own graph answers for them, on ONNX Runtime's CPU provider."""

from dataclasses import replace
from pathlib import Path

from distilforge.backends import Backend, backends
from distilforge.manifest import Variant
from distilforge.session import Loaded, Session

from validation.sequential import Look
from validation.tasks.base import Served

CPU = "onnxruntime-cpu"
# Weights are dequantized once, when the graph is loaded, and not in every run: the same answers in half the time
SETTINGS = {"session.disable_quant_qdq": "1"}


def obstacle(variant: Variant) -> str | None:
    """Why `variant` cannot run on this machine, None where it can."""
    backend = backends.get(variant.target)
    if backend is None:
        return f"there is no backend for {variant.target}"
    return backend.obstacle(variant)


def session(candidate: Path, variant: Variant, served: Served, *, threads: int) -> Session:
    """Of the graph that `variant` was made of."""
    graph = replace(variant, target=CPU, files=(variant.oracle,), needs=(), session=SETTINGS, compiled=None)
    return Session(
        Loaded(
            manifest=served.manifest,
            variant=graph,
            engine=_cpu().load(graph, candidate, providers=None, threads=threads),
            tokenizer=served.tokenizer,
            vocabulary=served.vocabulary,
        )
    )


def note(variant: Variant, why: str, look: Look | None) -> str:
    """What a reader must know of a variant that has not run; `look` is None without labels."""
    made = variant.compiled.flavour if variant.compiled else variant.target
    return (
        f"Not run on a device, since {why}. Its answers are those of {variant.oracle}, the graph that {made} was "
        "given, run by ONNX Runtime's CPU provider"
        + (f" on {look.examples:,} of the evaluation's {look.of:,} examples" if look else "")
        + "; its speed was not measured."
    )


def _cpu() -> Backend:
    backend = backends.get(CPU)
    assert backend is not None
    return backend
