"""All tensors that a model stores."""

from collections.abc import Iterator

import onnx_ir


def stored(model: onnx_ir.Model) -> Iterator[object]:
    """The weights and constants of `model`, in every graph and function and in their branches.

    Some of what it yields may be values of other attributes of nodes.
    """
    owners: tuple[onnx_ir.Graph | onnx_ir.Function, ...] = (model.graph, *model.functions.values())
    for graph in (one for owner in owners for one in (owner, *owner.subgraphs())):
        if isinstance(graph, onnx_ir.Graph):
            yield from (value.const_value for value in graph.initializers.values())
        for node in graph:
            for attribute in node.attributes.values():
                value = attribute.value
                yield from value if isinstance(value, tuple | list) else (value,)
