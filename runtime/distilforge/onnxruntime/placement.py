"""Where ONNX Runtime put a graph's nodes: what a device's provider does not take falls back to the CPU in silence."""

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
_logger = logging.getLogger("distilforge")

Node = tuple[str, str]
"""A node's name and its operator, with the domain where that is not ONNX's own."""


def watch(options: "onnxruntime.SessionOptions") -> None:
    """Have a session made with `options` record its placement, or refuse the CPU by itself where it cannot record.

    Recording says which nodes; the other way is older, names none, and refuses graphs that compute sizes there.
    """
    import onnxruntime

    recorded = hasattr(onnxruntime.InferenceSession, "get_provider_graph_assignment_info")
    options.add_session_config_entry(_RECORD if recorded else _REFUSE, "1")


def refused(cause: BaseException | None) -> bool:
    """Whether a session was not made because nodes would have run on the CPU."""
    return cause is not None and "assigned to the default CPU EP" in str(cause)


def check(session: InferenceSession, graph: Path, provider: str) -> None:
    """UnavailableError naming the nodes of the file `graph` that run on the CPU instead of `provider`.

    Nodes that only compute sizes belong on the host and are no fallback.
    """
    placed = on_cpu(session)
    sizes = onnx_sizes.names(graph) if placed else frozenset()
    fallen = [(name, operator) for name, operator in placed if name not in sizes]
    if fallen:
        raise UnavailableError(
            f"{len(fallen)} nodes of {graph.name!r} would run on the CPU, for {provider} does not take them: "
            f"{described(fallen)}",
            hint=f"open another variant; providers=({provider!r}, {CPU!r}) allows it, at the price of copies "
            "between device and host",
        )
    _logger.debug("%d nodes of %s, which compute sizes, run on the CPU", len(placed), graph.name)


def on_cpu(session: InferenceSession) -> list[Node]:
    """The nodes that the CPU's provider was given; none where ONNX Runtime is too old to say."""
    # Any: newer than the oldest ONNX Runtime that serves, so not in InferenceSession
    recorded = cast("Any", session)
    if not hasattr(recorded, "get_provider_graph_assignment_info"):
        return []
    return [
        (node.name, f"{node.domain}.{node.op_type}" if node.domain else node.op_type)
        for part in recorded.get_provider_graph_assignment_info()
        if part.ep_name == CPU
        for node in part.get_nodes()
    ]


def described(nodes: Sequence[Node]) -> str:
    """Operators, the most frequent first, each with a few of its nodes."""
    groups: defaultdict[str, list[str]] = defaultdict(list)
    for name, operator in nodes:
        groups[operator].append(name)
    return "; ".join(
        f"{len(names)} {operator} ({', '.join(names[:_SHOWN])}{', ...' if len(names) > _SHOWN else ''})"
        for operator, names in sorted(groups.items(), key=lambda entry: -len(entry[1]))
    )
