"""The settings of an engine, which a variant's `session` contains."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from distilforge.errors import ReleaseError
from distilforge.manifest import Variant
from distilforge.registry import nearest

T = TypeVar("T")

CONTEXTS, CUDA_GRAPHS, RUNTIME_CACHE, KERNELS = "contexts", "cuda_graphs", "runtime_cache", "kernels"
KERNEL_STRATEGIES: Mapping[str, str] = {"lazy": "LAZY", "eager": "EAGER", "none": "NONE"}
NAMES = (CONTEXTS, CUDA_GRAPHS, RUNTIME_CACHE, KERNELS)
"""Every setting that a release may name."""
_MOST = 1024
_SWITCH: Mapping[str, bool] = {"on": True, "off": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """How an engine is run."""

    contexts: int = 2
    """How many runs can go on at once; each has its own memory for activations, which it takes when it first runs."""
    cuda_graphs: int = 8
    """For how many shapes of small batches each context keeps a CUDA graph, 0 for none.

    TensorRT-RTX decides on their number itself. docs/decisions/0026 has the reason for the default.
    """
    runtime_cache: bool = True
    """Whether TensorRT-RTX keeps the kernels that it compiles on this machine, in the user's cache folder."""
    kernels: str | None = None
    """When TensorRT-RTX compiles kernels for one shape: its own name for the strategy, None for its default."""

    @classmethod
    def of(cls, variant: Variant) -> "EngineSettings":
        """The settings in `variant.session`; ReleaseError for one that this distilforge does not know."""
        for name in variant.session:
            if name not in NAMES:
                raise ReleaseError(
                    f"the variant {variant.name!r:.200} has the session setting {name!r:.100}, "
                    "which this distilforge does not allow",
                    hint="leave it out, or pip install --upgrade distilforge; " + nearest(name[:100], NAMES),
                )
        return cls(
            contexts=_count(variant, CONTEXTS, low=1, default=2),
            cuda_graphs=_count(variant, CUDA_GRAPHS, low=0, default=8),
            runtime_cache=bool(_one_of(variant, RUNTIME_CACHE, _SWITCH, default=True)),
            kernels=_one_of(variant, KERNELS, KERNEL_STRATEGIES, default=None),
        )


def _count(variant: Variant, name: str, *, low: int, default: int) -> int:
    text = variant.session.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 9 and low <= int(text) <= _MOST):
        raise ReleaseError(
            f"the variant {variant.name!r:.200} has {name} {text!r:.80}; it must be a whole number of at least {low} "
            f"and at most {_MOST}",
            hint="publish the release again",
        )
    return int(text)


def _one_of(variant: Variant, name: str, values: Mapping[str, T], *, default: T | None) -> T | None:
    text = variant.session.get(name)
    if text is None:
        return default
    if text not in values:
        raise ReleaseError(
            f"the variant {variant.name!r:.200} has {name} {text!r:.80}",
            hint=nearest(text[:80], tuple(values)),
        )
    return values[text]
