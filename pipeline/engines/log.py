"""Reading TensorRT's log: memory, the layers of the finished engine, the ONNX nodes that an error names."""

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
# Layers that wait for others, or compute sizes on the host
_BOOKKEEPING = ("signal", "wait", "shape_call")
# Ranges of nodes that were compiled together, of which an error means any
_RANGE = re.compile(r"ForeignNode\[[^\]]*\]")
_PRECISIONS = {
    "float": "fp32",
    "half": "fp16",
    "bf16": "bf16",
    "bfloat16": "bf16",
    "e8m0": "e8m0",
}
# A layer computes in the narrowest type that it reads or writes
_NARROWEST_FIRST = ("fp4", "int4", "fp8", "int8", "bf16", "fp16", "fp32")


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One line of the log; severity as TensorRT has it: INTERNAL_ERROR, ERROR, WARNING, INFO, VERBOSE."""

    severity: str
    text: str


def errors(messages: Iterable[Message]) -> tuple[str, ...]:
    """What TensorRT called an error, each once, in order."""
    return _once(message.text for message in messages if message.severity in ("INTERNAL_ERROR", "ERROR"))


def warnings(messages: Iterable[Message]) -> tuple[str, ...]:
    """What TensorRT warned of, each once, in order."""
    return _once(message.text for message in messages if message.severity == "WARNING")


def lacks_kernel_for_attention(messages: Iterable[Message]) -> bool:
    """Whether an error is that ONNX's Attention has no fused kernel for its type or its sizes."""
    return any(_UNFUSED in text for text in errors(messages))


def as_warnings(messages: Iterable[Message]) -> list[Message]:
    """The warnings, and the errors as warnings, of an attempt that another one follows."""
    kept = ("INTERNAL_ERROR", "ERROR", "WARNING")
    return [
        Message(severity="WARNING", text=message.text) for message in messages if message.severity in kept
    ]


def activation_bytes(messages: Iterable[Message]) -> int | None:
    """Memory for activations, of the profile that needs most; None where the log does not say."""
    found = [_ACTIVATIONS.match(message.text) for message in messages]
    return max((int(match[1]) for match in found if match), default=None)


def precision(data_type: str) -> str:
    """TensorRT's name of a data type as users write it: Half is fp16."""
    name = data_type.lower()
    return _PRECISIONS.get(name, name)


def narrowest(precisions: Iterable[str]) -> str:
    """The type that a layer computes in, of all that it reads and writes; "" for none."""
    found = list(precisions)
    for name in _NARROWEST_FIRST:
        if name in found:
            return name
    return found[0] if found else ""


def computed(messages: Iterable[Message]) -> dict[str, int]:
    """Layers of the finished engine by the type they compute; none where the log lists no types.

    TensorRT lists them where the profiling verbosity is DETAILED, without a device too.
    """
    counts: Counter[str] = Counter()
    for message in messages:
        for line in message.text.splitlines():
            layer = _LAYER.match(line)
            if layer is None or layer[1] in _BOOKKEEPING:
                continue
            # Weights may be kept narrower than what is computed with them; gemm's scales are wider
            tensors = _CONSTANTS.sub("", layer[2])
            name = narrowest(map(precision, _TYPE.findall(tensors)))
            if name:
                counts[name] += 1
    return dict(sorted(counts.items()))


def named(texts: Sequence[str], nodes: Iterable[str]) -> str:
    """The ONNX node that the last of `texts` to name one names; the longest name where several fit, "" for none."""
    longest_first = sorted(set(nodes), key=len, reverse=True)
    for text in reversed(texts):
        said = _RANGE.sub("", text)
        for node in longest_first:
            # A whole name: .../MatMul is not .../MatMul_1
            if node and re.search(rf"(?<![\w./]){re.escape(node)}(?![\w./])", said):
                return node
    return ""


def _once(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(texts))
