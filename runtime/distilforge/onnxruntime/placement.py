"""Checks where a graph's nodes run: ONNX Runtime silently moves nodes to the CPU that a provider does not support."""

import logging
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from distilforge.errors import UnavailableError
from distilforge.onnxruntime import sizes as onnx_sizes
from distilforge.onnxruntime.engine import CPU, InferenceSession

if TYPE_CHECKING:
    import onnxruntime

_RECORD, _REFUSE = "session.record_ep_graph_assignment_info", "session.disable_cpu_ep_fallback"
_SHOWN = 3
_MADE_FOR_SIZES = frozenset(("Cast", "Concat", "Gather", "Shape", "Slice", "Squeeze", "Unsqueeze"))
_logger = logging.getLogger("distilforge")

Node = tuple[str, str]
"""A node's name and its operator, with the domain unless it is ONNX's own."""


def watch(options: "onnxruntime.SessionOptions") -> None:
    """Make a session with `options` record where its nodes run, or, in older versions, refuse nodes on the CPU.

    A refusal names no nodes, and also refuses graphs that compute sizes on the CPU.
    """
    import onnxruntime

    can_record = hasattr(onnxruntime.InferenceSession, "get_provider_graph_assignment_info")
    options.add_session_config_entry(_RECORD if can_record else _REFUSE, "1")


def refused(cause: BaseException | None) -> bool:
    """Whether a session failed because nodes would have run on the CPU."""
    return cause is not None and "assigned to the default CPU EP" in str(cause)


def check(session: InferenceSession, graph: Path, provider: str) -> None:
    """Raise UnavailableError with the nodes of the file `graph` that run on the CPU instead of `provider`.

    Nodes that only compute sizes belong on the CPU. ONNX Runtime simplifies them, which gives it nodes that the file
    does not have.
    """
    cpu_nodes = on_cpu(session)
    if not cpu_nodes:
        return
    nodes = onnx_sizes.names(graph)
    fallbacks = [
        (name, operator)
        for name, operator in cpu_nodes
        if name not in nodes.sizes and (name in nodes.every or operator not in _MADE_FOR_SIZES)
    ]
    if fallbacks:
        raise UnavailableError(
            f"{len(fallbacks)} nodes of {graph.name!r} would run on the CPU, because {provider} does not support them: "
            f"{described(fallbacks)}",
            hint=f"open another variant; providers=({provider!r}, {CPU!r}) allows it, and copies between device and "
            "host",
        )
    _logger.debug("%d nodes of %s run on the CPU, where they compute sizes", len(cpu_nodes), graph.name)


def on_cpu(session: InferenceSession) -> list[Node]:
    """The nodes that run on the CPU; empty where ONNX Runtime is too old to tell."""
    # Any: older versions of InferenceSession do not have this method
    recent = cast("Any", session)
    if not hasattr(recent, "get_provider_graph_assignment_info"):
        return []
    return [
        (node.name, f"{node.domain}.{node.op_type}" if node.domain else node.op_type)
        for part in recent.get_provider_graph_assignment_info()
        if part.ep_name == CPU
        for node in part.get_nodes()
    ]


def described(nodes: Sequence[Node]) -> str:
    """The operators of `nodes`, the most frequent first, each with a few of its nodes."""
    groups: defaultdict[str, list[str]] = defaultdict(list)
    for name, operator in nodes:
        groups[operator].append(name)
    return "; ".join(
        f"{len(names)} {operator} ({', '.join(names[:_SHOWN])}{', ...' if len(names) > _SHOWN else ''})"
        for operator, names in sorted(groups.items(), key=lambda entry: -len(entry[1]))
    )
