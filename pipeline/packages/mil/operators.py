"""Operators of ONNX in coremltools' intermediate language, one function each.

A function is called with the node and its inputs, and returns its one output. Inputs are variables of the program, or
arrays where the graph has constants; None stands for an input that is left out. Integers are int32, which is the only
integer type that Core ML computes with.

References: https://onnx.ai/onnx/operators, https://apple.github.io/coremltools/source/coremltools.converters.mil.mil.ops.defs.html
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx_ir
from coremltools.converters.mil import Builder
from coremltools.converters.mil.mil import Var
from coremltools.converters.mil.mil.types.symbolic import is_symbolic

from pipeline.errors import StageError

Value = Any
"""A variable of the program, of coremltools' untyped class Var, or an array for a constant."""
Inputs = tuple[Value, ...]
Operator = Callable[[onnx_ir.Node, Inputs], Var]

OPERATORS: dict[tuple[str, str], Operator] = {}
"""The functions by the domain and the name of the operator."""

_CONTRIBUTED = "com.microsoft"
_LARGEST = 2**31 - 1
"""What ONNX writes for the end of an axis is this at least."""
_TYPES = {
    onnx_ir.DataType.FLOAT: "fp32",
    onnx_ir.DataType.FLOAT16: "fp16",
    onnx_ir.DataType.INT32: "int32",
    onnx_ir.DataType.INT64: "int32",
    onnx_ir.DataType.BOOL: "bool",
}


def operator(name: str, *, domain: str = "") -> Callable[[Operator], Operator]:
    """Register the decorated function as the operator `name` of `domain`."""

    def register(function: Operator) -> Operator:
        OPERATORS[domain, name] = function
        return function

    return register


def refuse(node: onnx_ir.Node, reason: str) -> StageError:
    """The error for a node that has a form which nothing here writes."""
    return StageError(
        "package",
        f"Core ML model: the node {node.name!r:.200}, a {node.op_type}, cannot be written: {reason}",
        hint="package another variant with --variant",
    )


def _integers(node: onnx_ir.Node, value: Value, what: str) -> list[int]:
    """The content of an input that must be a constant."""
    if not isinstance(value, np.ndarray):
        raise refuse(node, f"{what} is not a constant")
    return [int(number) for number in value.reshape(-1)]


def _axes(node: onnx_ir.Node, inputs: Inputs) -> list[int]:
    """The axes that the second input names."""
    if len(inputs) < 2 or inputs[1] is None:
        raise refuse(node, "it names no axes")
    return _integers(node, inputs[1], "the input with the axes")


def _of_two(build: Callable[..., Var]) -> Operator:
    """An operator of two inputs that the builder has too."""

    def write(_node: onnx_ir.Node, inputs: Inputs) -> Var:
        return build(x=inputs[0], y=inputs[1])

    return write


for _name, _build in (
    ("Add", Builder.add),
    ("Sub", Builder.sub),
    ("Mul", Builder.mul),
    ("Div", Builder.real_div),
    ("Equal", Builder.equal),
    ("MatMul", Builder.matmul),
):
    operator(_name)(_of_two(_build))


@operator("Gemm")
def _gemm(node: onnx_ir.Node, inputs: Inputs) -> Var:
    scales = {node.attributes.get_float("alpha", 1.0), node.attributes.get_float("beta", 1.0)}
    if scales != {1.0}:
        raise refuse(node, f"alpha and beta must be 1, not {sorted(scales)}")
    product = Builder.matmul(
        x=inputs[0],
        y=inputs[1],
        transpose_x=bool(node.attributes.get_int("transA", 0)),
        transpose_y=bool(node.attributes.get_int("transB", 0)),
    )
    return product if len(inputs) == 2 or inputs[2] is None else Builder.add(x=product, y=inputs[2])


@operator("Relu")
def _relu(_node: onnx_ir.Node, inputs: Inputs) -> Var:
    return Builder.relu(x=inputs[0])


@operator("Gelu")
def _gelu(node: onnx_ir.Node, inputs: Inputs) -> Var:
    exact = node.attributes.get_string("approximate", "none") == "none"
    return Builder.gelu(x=inputs[0], mode="EXACT" if exact else "TANH_APPROXIMATION")


@operator("LayerNormalization")
def _layer_normalization(node: onnx_ir.Node, inputs: Inputs) -> Var:
    if node.attributes.get_int("axis", -1) != -1:
        raise refuse(node, "it must normalize over the last axis")
    return Builder.layer_norm(
        x=inputs[0],
        axes=[-1],
        gamma=inputs[1],
        beta=inputs[2] if len(inputs) > 2 else None,
        epsilon=np.float32(node.attributes.get_float("epsilon", 1e-5)),
    )


@operator("Softmax")
def _softmax(node: onnx_ir.Node, inputs: Inputs) -> Var:
    return Builder.softmax(x=inputs[0], axis=node.attributes.get_int("axis", -1))


@operator("Cast")
def _cast(node: onnx_ir.Node, inputs: Inputs) -> Var:
    kind = onnx_ir.DataType(node.attributes["to"].as_int())
    if kind not in _TYPES:
        raise refuse(node, f"Core ML does not have the type {kind.name}")
    return Builder.cast(x=inputs[0], dtype=_TYPES[kind])


@operator("Gather")
def _gather(node: onnx_ir.Node, inputs: Inputs) -> Var:
    return Builder.gather(x=inputs[0], indices=inputs[1], axis=node.attributes.get_int("axis", 0))


@operator("Shape")
def _shape(node: onnx_ir.Node, inputs: Inputs) -> Var:
    shape = Builder.shape(x=inputs[0])
    (size,) = shape.shape
    start = node.attributes.get_int("start", 0) % size
    end = node.attributes.get_int("end", size)
    return Builder.slice_by_index(x=shape, begin=[start], end=[end if end >= 0 else end + size])


@operator("Slice")
def _slice(node: onnx_ir.Node, inputs: Inputs) -> Var:
    tensor, *bounds = inputs
    rank = len(tensor.shape)
    starts, ends, *others = (_integers(node, bound, "a bound") for bound in bounds)
    axes = others[0] if others else list(range(len(starts)))
    steps = others[1] if len(others) > 1 else [1] * len(starts)
    begin, end, stride, whole = [0] * rank, [0] * rank, [1] * rank, [True] * rank
    until_the_end = [True] * rank
    for axis, start, stop, step in zip(axes, starts, ends, steps, strict=True):
        if step < 1:
            raise refuse(node, f"its step is {step}")
        begin[axis], end[axis], stride[axis], whole[axis] = start, stop, step, False
        until_the_end[axis] = stop >= _LARGEST
    return Builder.slice_by_index(
        x=tensor, begin=begin, end=end, stride=stride, begin_mask=whole, end_mask=until_the_end
    )


@operator("Range")
def _range(_node: onnx_ir.Node, inputs: Inputs) -> Var:
    return Builder.range_1d(start=inputs[0], end=inputs[1], step=inputs[2])


@operator("Squeeze")
def _squeeze(node: onnx_ir.Node, inputs: Inputs) -> Var:
    axes = _axes(node, inputs) if len(inputs) > 1 else None
    return Builder.squeeze(x=inputs[0], axes=axes)


@operator("Unsqueeze")
def _unsqueeze(node: onnx_ir.Node, inputs: Inputs) -> Var:
    return Builder.expand_dims(x=inputs[0], axes=_axes(node, inputs))


@operator("Concat")
def _concat(node: onnx_ir.Node, inputs: Inputs) -> Var:
    return Builder.concat(values=list(inputs), axis=node.attributes["axis"].as_int())


@operator("Reshape")
def _reshape(node: onnx_ir.Node, inputs: Inputs) -> Var:
    shape = inputs[1]
    # A shape that is computed holds no zero, since no axis is empty
    if isinstance(shape, np.ndarray) and 0 in shape and bool(node.attributes.get_int("allowzero", 0)):
        raise refuse(node, "an axis is empty")
    return Builder.reshape(x=inputs[0], shape=_simplest(shape))


@operator("Transpose")
def _transpose(node: onnx_ir.Node, inputs: Inputs) -> Var:
    return Builder.transpose(x=inputs[0], perm=list(node.attributes["perm"].as_ints()))


@operator("Expand")
def _expand(_node: onnx_ir.Node, inputs: Inputs) -> Var:
    # There is no broadcast; a sum with zeros of the shape is one
    return Builder.add(x=inputs[0], y=Builder.fill(shape=inputs[1], value=0.0))


@operator("ReduceSum")
def _reduce_sum(node: onnx_ir.Node, inputs: Inputs) -> Var:
    keep = bool(node.attributes.get_int("keepdims", 1))
    return Builder.reduce_sum(x=inputs[0], axes=_axes(node, inputs), keep_dims=keep)


@operator("ReduceL2")
def _reduce_l2(node: onnx_ir.Node, inputs: Inputs) -> Var:
    keep = bool(node.attributes.get_int("keepdims", 1))
    return Builder.reduce_l2_norm(x=inputs[0], axes=_axes(node, inputs), keep_dims=keep)


@operator("Clip")
def _clip(_node: onnx_ir.Node, inputs: Inputs) -> Var:
    result = inputs[0]
    low, high = (*inputs[1:], None, None)[:2]
    if low is not None:
        result = Builder.maximum(x=result, y=low)
    if high is not None:
        result = Builder.minimum(x=result, y=high)
    return result


@operator("MultiHeadAttention", domain=_CONTRIBUTED)
def _multi_head_attention(node: onnx_ir.Node, inputs: Inputs) -> Var:
    """Attention of queries, keys and values (batch, tokens, hidden), with a bias that broadcasts to the scores."""
    query, key, value, *others = inputs
    bias = others[2] if len(others) > 2 else None
    if key is None or value is None or any(other is not None for other in (*others[:2], *others[3:])):
        raise refuse(node, "it must have queries, keys and values, and an attention bias at most")
    heads = node.attributes["num_heads"].as_int()
    width = value.shape[-1]
    scale = node.attributes.get_float("scale", 0.0) or (width // heads) ** -0.5
    scores = Builder.matmul(
        x=Builder.mul(x=_split(query, heads), y=np.float32(scale)), y=_split(key, heads), transpose_y=True
    )
    if bias is not None:
        scores = Builder.add(x=scores, y=bias)
    answers = Builder.matmul(x=Builder.softmax(x=scores, axis=-1), y=_split(value, heads))
    answers = Builder.transpose(x=answers, perm=[0, 2, 1, 3])
    return _with_last_axes(answers, [width])


def _split(tensor: Value, heads: int) -> Var:
    """A tensor (batch, tokens, hidden) as (batch, heads, tokens, hidden / heads)."""
    split = _with_last_axes(tensor, [heads, tensor.shape[-1] // heads])
    return Builder.transpose(x=split, perm=[0, 2, 1, 3])


def _with_last_axes(tensor: Value, sizes: list[int]) -> Var:
    """A tensor (batch, tokens, ...) as (batch, tokens, *sizes)."""
    leading = Builder.slice_by_index(x=Builder.shape(x=tensor), begin=[0], end=[2])
    shape = Builder.concat(values=[leading, np.array(sizes, np.int32)], axis=0)
    return Builder.reshape(x=tensor, shape=_simplest(shape))


def _simplest(shape: Value) -> Value:
    """A shape that is computed, as a constant with -1 where only one of its numbers is not known.

    Core ML plans a reshape ahead of time, and runs it on the Neural Engine, only where its shape is constant.
    """
    if not isinstance(shape, Var) or shape.sym_val is None:
        return shape
    sizes = [-1 if is_symbolic(size) else int(size) for size in shape.sym_val]
    return np.array(sizes, np.int32) if sizes.count(-1) <= 1 else shape
