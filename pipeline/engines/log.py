"""Reads TensorRT's log: memory, the layers of the finished engine, and the ONNX nodes that an error names."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

LAST = 5
_UNFUSED = "not supported by a dedicated kernel"
_ACTIVATIONS = re.compile(r"^Total Activation Memory: (\d+) bytes")
_LAYER = re.compile(r"^Name: .*?, LayerType: (\w+), (.*)$")
_CONSTANTS = re.compile(r"Constants: \[.*?\], (?=Outputs: )")
_TYPE = re.compile(r"Datatype: (\w+)")
# Layers that synchronize, or compute sizes on the host
_BOOKKEEPING = ("signal", "wait", "shape_call")
# Nodes that were compiled together: an error in one names them all
_RANGE = re.compile(r"ForeignNode\[[^\]]*\]")
_PRECISIONS = {
    "float": "fp32",
    "half": "fp16",
    "bf16": "bf16",
    "bfloat16": "bf16",
    "e8m0": "e8m0",
}
# A layer computes in the narrowest type among its inputs and outputs
_NARROWEST_FIRST = ("fp4", "int4", "fp8", "int8", "bf16", "fp16", "fp32")


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message of the log."""

    severity: str
    """TensorRT's name for it: INTERNAL_ERROR, ERROR, WARNING, INFO or VERBOSE."""
    text: str


def errors(messages: Iterable[Message]) -> tuple[str, ...]:
    """The errors, in order, without repetitions."""
    return _once(message.text for message in messages if message.severity in ("INTERNAL_ERROR", "ERROR"))


def warnings(messages: Iterable[Message]) -> tuple[str, ...]:
    """The warnings, in order, without repetitions."""
    return _once(message.text for message in messages if message.severity == "WARNING")


def lacks_kernel_for_attention(messages: Iterable[Message]) -> bool:
    """Whether an error says that there is no fused kernel for an ONNX Attention of this type and these sizes."""
    return any(_UNFUSED in text for text in errors(messages))


def as_warnings(messages: Iterable[Message]) -> list[Message]:
    """The warnings and errors of an attempt after which another one is made, all as warnings."""
    kept = ("INTERNAL_ERROR", "ERROR", "WARNING")
    return [
        Message(severity="WARNING", text=message.text) for message in messages if message.severity in kept
    ]


def activation_bytes(messages: Iterable[Message]) -> int | None:
    """The memory for activations of the profile that needs most; None where the log does not say."""
    matches = [_ACTIVATIONS.match(message.text) for message in messages]
    return max((int(match[1]) for match in matches if match), default=None)


def precision(data_type: str) -> str:
    """TensorRT's name of a data type, as users write it: Half is fp16."""
    name = data_type.lower()
    return _PRECISIONS.get(name, name)


def narrowest(precisions: Iterable[str]) -> str:
    """The type in which a layer computes that reads and writes `precisions`; "" for none."""
    names = list(precisions)
    for name in _NARROWEST_FIRST:
        if name in names:
            return name
    return names[0] if names else ""


def layer_precisions(messages: Iterable[Message]) -> dict[str, int]:
    """The number of layers of the finished engine that compute in each type; empty where the log lists no types.

    TensorRT lists them if the profiling verbosity is DETAILED, also without a device.
    """
    counts: Counter[str] = Counter()
    for message in messages:
        for line in message.text.splitlines():
            layer = _LAYER.match(line)
            if layer is None or layer[1] in _BOOKKEEPING:
                continue
            # Weights may be stored in a narrower type than the layer computes in; a gemm's scales are in a wider one
            tensors = _CONSTANTS.sub("", layer[2])
            name = narrowest(map(precision, _TYPE.findall(tensors)))
            if name:
                counts[name] += 1
    return dict(sorted(counts.items()))


def node_in(texts: Sequence[str], nodes: Iterable[str]) -> str:
    """The ONNX node in the last of `texts` that names one, the longest name if several match; "" for none."""
    longest_first = sorted(set(nodes), key=len, reverse=True)
    for text in reversed(texts):
        single = _RANGE.sub("", text)
        for node in longest_first:
            # Only a whole name counts: .../MatMul is not .../MatMul_1
            if node and re.search(rf"(?<![\w./]){re.escape(node)}(?![\w./])", single):
                return node
    return ""


def _once(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(texts))
