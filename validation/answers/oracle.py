"""Variants for a device that this machine does not have: their ONNX graph answers in their place, on a CPU."""

from dataclasses import replace
from pathlib import Path

from distilforge import machine
from distilforge.backends import Backend, backends
from distilforge.manifest import Variant
from distilforge.session import Session, SessionParts

from validation.statistics.sequential import Look
from validation.tasks.base import ReleaseReader

CPU = "onnxruntime-cpu"
# Weights are dequantized once, when the graph is loaded, and not in every run: the same answers in half the time
SETTINGS = {"session.disable_quant_qdq": "1"}


def obstacle(variant: Variant) -> str | None:
    """Why `variant` cannot run on this machine; None where it can."""
    backend = backends.get(variant.target)
    if backend is None:
        return f"there is no backend for {variant.target}"
    # A backend may rely on what the processor lists; what is published is tested
    return backend.obstacle(variant) or machine.lacking(variant.needs)


def session(candidate: Path, variant: Variant, reader: ReleaseReader, *, threads: int) -> Session:
    """A session of the ONNX graph from which `variant` was compiled."""
    graph = replace(variant, target=CPU, files=(variant.oracle,), needs=(), session=SETTINGS, compiled=None)
    return Session(
        SessionParts(
            manifest=reader.manifest,
            variant=graph,
            engine=_cpu().load(graph, candidate, manifest=reader.manifest, providers=None, threads=threads),
            tokenizer=reader.tokenizer,
            vocabulary=reader.vocabulary,
        )
    )


def note(variant: Variant, obstacle: str, look: Look | None) -> str:
    """A sentence for readers of a variant that did not run; `look` is None without labels."""
    compiler = variant.compiled.flavour if variant.compiled else variant.target
    return (
        f"Not run on a device, since {obstacle}. Its answers are those of {variant.oracle}, the graph from which "
        f"{compiler} compiled it, run by ONNX Runtime's CPU provider"
        + (f" on {look.examples:,} of the {look.of:,} evaluation examples" if look else "")
        + "; its speed was not measured."
    )


def _cpu() -> Backend:
    backend = backends.get(CPU)
    assert backend is not None
    return backend
