"""What a look at an ONNX file tells of engines, with no toolkit: each rule yields problems.

What TensorRT does with each of these was seen with TensorRT-RTX 1.7, whose ONNX parser is the one of TensorRT.
"""

from collections.abc import Callable, Iterator, Mapping

import numpy as np
import onnx
from distilforge.cuda import capabilities
from onnx import numpy_helper

from pipeline.engines.flavours import LEAST, RTX
from pipeline.engines.preflight.observations import ONNX_DOMAINS, Kind, Problem, Seen, is_here, type_name

MICROSOFT = "com.microsoft"

# tests/unit/pipeline/engines/test_preflight.py holds both against the parser that is installed
UNSUPPORTED = frozenset(
    "AffineGrid Bernoulli BitCast BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor CenterCropPad Col2Im Compress "
    "ConcatFromSequence ConvInteger CumProd DFT DeformConv Det DynamicQuantizeLinear ImageDecoder MatMulInteger "
    "MaxRoiPool MaxUnpool MelWeightMatrix Multinomial NegativeLogLikelihoodLoss Optional OptionalGetElement "
    "OptionalHasElement QLinearConv QLinearMatMul RegexFullMatch SequenceAt SequenceConstruct SequenceEmpty "
    "SequenceErase SequenceInsert SequenceLength SequenceMap SoftmaxCrossEntropyLoss SplitToSequence StringConcat "
    "StringNormalizer StringSplit SwiGLU TfIdfVectorizer Unique".split()
)
"""ONNX's own operators that the parser has nothing for."""

READ_BY_NAME = frozenset(
    "Attention DequantizeLinear Gelu GroupQueryAttention MatMulNBits MultiHeadAttention QuantizeLinear "
    "RotaryEmbedding SimplifiedLayerNormalization SkipSimplifiedLayerNormalization".split()
)
"""Operators of com.microsoft that the parser takes, since it does not look at an operator's domain."""

_TYPES = onnx.TensorProto
_REFUSED_TYPES = frozenset(
    (
        _TYPES.STRING,
        _TYPES.INT16,
        _TYPES.UINT16,
        _TYPES.UINT32,
        _TYPES.UINT64,
        _TYPES.COMPLEX64,
        _TYPES.COMPLEX128,
        _TYPES.FLOAT8E4M3FNUZ,
        _TYPES.FLOAT8E5M2,
        _TYPES.FLOAT8E5M2FNUZ,
    )
)
_NEEDS_CAPABILITY: Mapping[int, str] = {
    _TYPES.BFLOAT16: "8.0",
    _TYPES.FLOAT8E4M3FN: capabilities.text(LEAST["fp8"]),
}
_CONTROL_FLOW = frozenset(("If", "Loop", "Scan"))
_OLDEST_OPSET = 7
_QUANTIZING = frozenset(("QuantizeLinear", "DequantizeLinear"))


Rule = Callable[[Seen], Iterator[Problem]]


def problems(seen: Seen) -> tuple[Problem, ...]:
    """What every rule finds, in the order of the rules."""
    return tuple(problem for rule in _RULES for problem in rule(seen))


def _opset(seen: Seen) -> Iterator[Problem]:
    def about(kind: Kind, text: str, advice: str) -> Problem:
        return Problem(kind=kind, problem=text, module="", node="", operator="", advice=advice)

    if not seen.opset:
        yield about("refused", "the model imports no opset of ONNX's own operators", "export it again")
    elif seen.opset < _OLDEST_OPSET:
        yield about(
            "note",
            f"opset {seen.opset} is older than {_OLDEST_OPSET}, the oldest that TensorRT promises to read",
            "export it again, or use onnx.version_converter",
        )
    elif seen.opset > onnx.defs.onnx_opset_version():
        yield about(
            "note",
            f"opset {seen.opset} is newer than onnx {onnx.__version__} knows, so operators were not looked up",
            "pip install --upgrade onnx",
        )


def _operators(seen: Seen) -> Iterator[Problem]:
    functions = {(each.domain, each.name) for each in seen.model.functions}
    known = seen.opset <= onnx.defs.onnx_opset_version()
    for name, node in seen.nodes:
        at = (name, node)
        if (node.domain, node.op_type) in functions:
            continue
        if node.domain not in ONNX_DOMAINS:
            by_name = node.domain == MICROSOFT and node.op_type in READ_BY_NAME
            yield seen.problem(
                "note" if by_name else "refused",
                f"{seen.flavour.name} has no operators of the domain {node.domain}"
                + ("; it reads this one by its name alone" if by_name else ""),
                "compile the graph before ONNX Runtime's own fusions and quantization: "
                "`distilforge export` writes one with ONNX's operators only"
                if node.domain == MICROSOFT
                else "write it with ONNX's own operators, or load a plugin of that name",
                node=at,
                settled_by_parser=True,
            )
        elif node.op_type in UNSUPPORTED:
            yield seen.problem(
                "refused",
                f"{seen.flavour.name} has no {node.op_type}",
                "quantize with QuantizeLinear and DequantizeLinear pairs, signed and symmetric"
                if node.op_type in ("DynamicQuantizeLinear", "MatMulInteger", "QLinearMatMul")
                else "write it with other operators",
                node=at,
                settled_by_parser=True,
            )
        elif known and not onnx.defs.has(node.op_type, max_inclusive_version=seen.opset):
            yield seen.problem(
                "refused",
                f"ONNX's opset {seen.opset} has no operator {node.op_type}",
                "export it again with operators of ONNX's, or load a plugin of that name",
                node=at,
                settled_by_parser=True,
            )


def _attention(seen: Seen) -> Iterator[Problem]:
    for name, node in seen.nodes:
        if node.op_type != "Attention" or node.domain not in ONNX_DOMAINS or not node.input:
            continue
        if seen.types.get(node.input[0]) == _TYPES.FLOAT:
            without = seen.flavour.module == RTX.module
            yield seen.problem(
                "refused" if without else "note",
                f"{seen.flavour.name} has {'no' if without else 'no fused'} kernel for Attention in fp32",
                "build it in fp16, or leave attention decomposed in fp32 (no pass attention_onnx)",
                node=(name, node),
            )


def _quantization(seen: Seen) -> Iterator[Problem]:
    for at in seen.nodes:
        _, node = at
        if node.op_type not in _QUANTIZING:
            continue
        zero_point = seen.constants.get(node.input[2]) if len(node.input) > 2 else None
        element = _quantized_type(seen, node, zero_point)
        if element == _TYPES.UINT8:
            yield seen.problem(
                "wrong",
                f"quantized to uint8: {seen.flavour.name} reads it as int8, and values over 127 are lost",
                "quantize signed and symmetric: int8 with a zero point of 0",
                node=at,
            )
        if zero_point is not None and is_here(zero_point):
            values = numpy_helper.to_array(zero_point).astype(np.int64)
            if values.any():
                yield seen.problem(
                    "refused",
                    f"its zero point is not 0, which {seen.flavour.name} wants",
                    "quantize symmetrically: int8 with a zero point of 0",
                    node=at,
                    found=str(values.ravel()[np.abs(values).argmax()]),
                )


def _element_types(seen: Seen) -> Iterator[Problem]:
    for name, node in seen.nodes:
        for value in node.output:
            for kind, text, advice in _of_type(seen, seen.types.get(value)):
                yield seen.problem(kind, text, advice, node=(name, node))
    made = {value for _, node in seen.nodes for value in node.output}
    inputs = [value.name for value in seen.model.graph.input if value.name not in seen.constants]
    for value in (*inputs, *seen.constants):
        if value not in made:
            for kind, text, advice in _of_type(seen, seen.types.get(value)):
                yield Problem(
                    kind=kind,
                    problem=text,
                    module=value.rpartition(".")[0],
                    node=value,
                    operator="input" if value in inputs else "weight",
                    advice=advice,
                )


def _of_type(seen: Seen, element: int | None) -> Iterator[tuple[Kind, str, str]]:
    """What is to be said of a value of a type."""
    if element is None:
        return
    if element in _REFUSED_TYPES:
        yield (
            "refused",
            f"{type_name(element)} is a type that {seen.flavour.name} does not have",
            "cast it to one that it has: fp32, fp16, bf16, int8, int32, int64 or bool",
        )
    elif element == _TYPES.DOUBLE:
        yield (
            "note",
            f"float64 is computed as float32 by {seen.flavour.name}, also where callers feed or read it",
            "export it in float32, so that what was checked is what runs",
        )
    elif element in _NEEDS_CAPABILITY:
        yield (
            "note",
            f"{type_name(element)} needs compute capability {_NEEDS_CAPABILITY[element]} or later",
            f"name no capability below {_NEEDS_CAPABILITY[element]}",
        )


def _control_flow(seen: Seen) -> Iterator[Problem]:
    for at in seen.nodes:
        if at[1].op_type in _CONTROL_FLOW and at[1].domain in ONNX_DOMAINS:
            yield seen.problem(
                "note",
                f"{at[1].op_type}: engines with control flow cannot be captured into a CUDA graph, and a branch "
                "ends fusions",
                "export it without control flow, or expect launches to take their full time",
                node=at,
            )


def _axes(seen: Seen) -> Iterator[Problem]:
    stored = {tensor.name for tensor in seen.model.graph.initializer}
    for value in seen.model.graph.input:
        if value.name in stored or not value.type.HasField("tensor_type"):
            continue
        tensor = value.type.tensor_type

        def about(kind: Kind, text: str, advice: str, name: str = value.name) -> Problem:
            return Problem(kind=kind, problem=text, module="", node=name, operator="input", advice=advice)

        if not tensor.HasField("shape"):
            yield about(
                "wrong",
                f"{value.name} has no shape, and {seen.flavour.name} takes it for a scalar",
                "export it with its axes named",
            )
            continue
        for place, size in enumerate(tensor.shape.dim):
            if not size.HasField("dim_value") and not size.dim_param:
                yield about(
                    "note",
                    f"axis {place} of {value.name} has no name, so that no profile can name it",
                    "export it with its axes named: dynamic_shapes in torch.onnx.export",
                )


_RULES: tuple[Rule, ...] = (
    _opset,
    _operators,
    _attention,
    _quantization,
    _element_types,
    _control_flow,
    _axes,
)


def _quantized_type(seen: Seen, node: onnx.NodeProto, zero_point: onnx.TensorProto | None) -> int | None:
    if zero_point is not None:
        return zero_point.data_type
    if len(node.input) > 2 and node.input[2]:
        return seen.types.get(node.input[2])
    if node.op_type == "DequantizeLinear":
        return seen.types.get(node.input[0]) if node.input else None
    # onnx.ai, QuantizeLinear: uint8 where neither output_dtype nor a zero point says otherwise
    return next(
        (entry.i for entry in node.attribute if entry.name == "output_dtype" and entry.i), _TYPES.UINT8
    )
