"""The rules of a check, which need no compiler: each yields the problems that it finds.

What TensorRT does in each case was observed with TensorRT-RTX 1.7, which has the same ONNX parser as TensorRT.
"""

from collections.abc import Callable, Iterator, Mapping

import numpy as np
import onnx
from distilforge.cuda import capabilities
from onnx import numpy_helper

from pipeline.engines.compiler import LOWEST_CAPABILITIES
from pipeline.engines.preflight.inspection import ONNX_DOMAINS, Inspection, Kind, Problem, is_here, type_name

MICROSOFT = "com.microsoft"

# tests/integration/pipeline/engines/preflight/test_rules.py compares both sets with the installed parser
UNSUPPORTED = frozenset(
    "AffineGrid Bernoulli BitCast BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor CenterCropPad Col2Im Compress "
    "ConcatFromSequence ConvInteger CumProd DFT DeformConv Det DynamicQuantizeLinear ImageDecoder MatMulInteger "
    "MaxRoiPool MaxUnpool MelWeightMatrix Multinomial NegativeLogLikelihoodLoss Optional OptionalGetElement "
    "OptionalHasElement QLinearConv QLinearMatMul RegexFullMatch SequenceAt SequenceConstruct SequenceEmpty "
    "SequenceErase SequenceInsert SequenceLength SequenceMap SoftmaxCrossEntropyLoss SplitToSequence StringConcat "
    "StringNormalizer StringSplit SwiGLU TfIdfVectorizer Unique".split()
)
"""ONNX's own operators that the parser does not support."""

READ_BY_NAME = frozenset(
    "Attention DequantizeLinear Gelu GroupQueryAttention MatMulNBits MultiHeadAttention QuantizeLinear "
    "RotaryEmbedding SimplifiedLayerNormalization SkipSimplifiedLayerNormalization".split()
)
"""Operators of com.microsoft that the parser accepts, since it ignores an operator's domain."""

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
    _TYPES.FLOAT8E4M3FN: capabilities.text(LOWEST_CAPABILITIES["fp8"]),
}
_CONTROL_FLOW = frozenset(("If", "Loop", "Scan"))
_OLDEST_OPSET = 7
_QUANTIZING = frozenset(("QuantizeLinear", "DequantizeLinear"))


Rule = Callable[[Inspection], Iterator[Problem]]


def problems(inspection: Inspection) -> tuple[Problem, ...]:
    """The problems that the rules find, in the order of the rules."""
    return tuple(problem for rule in _RULES for problem in rule(inspection))


def _opset(inspection: Inspection) -> Iterator[Problem]:
    def about(kind: Kind, text: str, advice: str) -> Problem:
        return Problem(kind=kind, problem=text, module="", node="", operator="", advice=advice)

    if not inspection.opset:
        yield about(
            "refused", "the model does not import an opset of ONNX's own operators", "export it again"
        )
    elif inspection.opset < _OLDEST_OPSET:
        yield about(
            "note",
            f"opset {inspection.opset} is older than {_OLDEST_OPSET}, the oldest that TensorRT supports",
            "export it again, or use onnx.version_converter",
        )
    elif inspection.opset > onnx.defs.onnx_opset_version():
        yield about(
            "note",
            f"opset {inspection.opset} is newer than onnx {onnx.__version__} knows, so operators were not checked",
            "pip install --upgrade onnx",
        )


def _operators(inspection: Inspection) -> Iterator[Problem]:
    functions = {(function.domain, function.name) for function in inspection.model.functions}
    known = inspection.opset <= onnx.defs.onnx_opset_version()
    for name, node in inspection.nodes:
        at = (name, node)
        if (node.domain, node.op_type) in functions:
            continue
        if node.domain not in ONNX_DOMAINS:
            by_name = node.domain == MICROSOFT and node.op_type in READ_BY_NAME
            yield inspection.problem(
                "note" if by_name else "refused",
                f"{inspection.compiler.name} has no operators of the domain {node.domain}"
                + ("; it reads this one, since it ignores the domain" if by_name else ""),
                "compile the graph before ONNX Runtime's own fusions and quantization: "
                "`distilforge export` writes one with ONNX's operators only"
                if node.domain == MICROSOFT
                else "write it with ONNX's own operators, or load a plugin of that name",
                node=at,
                settled_by_parser=True,
            )
        elif node.op_type in UNSUPPORTED:
            yield inspection.problem(
                "refused",
                f"{inspection.compiler.name} has no {node.op_type}",
                "quantize with QuantizeLinear and DequantizeLinear pairs, signed and symmetric"
                if node.op_type in ("DynamicQuantizeLinear", "MatMulInteger", "QLinearMatMul")
                else "write it with other operators",
                node=at,
                settled_by_parser=True,
            )
        elif known and not onnx.defs.has(node.op_type, max_inclusive_version=inspection.opset):
            yield inspection.problem(
                "refused",
                f"ONNX's opset {inspection.opset} has no operator {node.op_type}",
                "export it again with ONNX's operators, or load a plugin of that name",
                node=at,
                settled_by_parser=True,
            )


def _attention(inspection: Inspection) -> Iterator[Problem]:
    for name, node in inspection.nodes:
        if node.op_type != "Attention" or node.domain not in ONNX_DOMAINS or not node.input:
            continue
        if inspection.types.get(node.input[0]) == _TYPES.FLOAT:
            without = inspection.compiler.is_rtx
            yield inspection.problem(
                "refused" if without else "note",
                f"{inspection.compiler.name} has {'no' if without else 'no fused'} kernel for Attention in fp32",
                "build it in fp16, or leave attention decomposed in fp32 (no pass attention_onnx)",
                node=(name, node),
            )


def _quantization(inspection: Inspection) -> Iterator[Problem]:
    for at in inspection.nodes:
        _, node = at
        if node.op_type not in _QUANTIZING:
            continue
        zero_point = inspection.constants.get(node.input[2]) if len(node.input) > 2 else None
        element = _quantized_type(inspection, node, zero_point)
        if element == _TYPES.UINT8:
            yield inspection.problem(
                "wrong",
                f"quantized to uint8: {inspection.compiler.name} reads it as int8, and values above 127 are lost",
                "quantize signed and symmetric: int8 with a zero point of 0",
                node=at,
            )
        if zero_point is not None and is_here(zero_point):
            values = numpy_helper.to_array(zero_point).astype(np.int64)
            if values.any():
                yield inspection.problem(
                    "refused",
                    f"its zero point is not 0, which {inspection.compiler.name} requires",
                    "quantize symmetrically: int8 with a zero point of 0",
                    node=at,
                    value=str(values.ravel()[np.abs(values).argmax()]),
                )


def _element_types(inspection: Inspection) -> Iterator[Problem]:
    for name, node in inspection.nodes:
        for value in node.output:
            for kind, text, advice in _of_type(inspection, inspection.types.get(value)):
                yield inspection.problem(kind, text, advice, node=(name, node))
    computed = {value for _, node in inspection.nodes for value in node.output}
    inputs = [value.name for value in inspection.model.graph.input if value.name not in inspection.constants]
    for value in (*inputs, *inspection.constants):
        if value not in computed:
            for kind, text, advice in _of_type(inspection, inspection.types.get(value)):
                yield Problem(
                    kind=kind,
                    problem=text,
                    module=value.rpartition(".")[0],
                    node=value,
                    operator="input" if value in inputs else "weight",
                    advice=advice,
                )


def _of_type(inspection: Inspection, element: int | None) -> Iterator[tuple[Kind, str, str]]:
    """The kind, the text and the advice for a value of the type `element`."""
    if element is None:
        return
    if element in _REFUSED_TYPES:
        yield (
            "refused",
            f"{type_name(element)} is a type that {inspection.compiler.name} does not have",
            "cast it to fp32, fp16, bf16, int8, int32, int64 or bool",
        )
    elif element == _TYPES.DOUBLE:
        yield (
            "note",
            f"{inspection.compiler.name} computes float64 as float32, inputs and outputs too",
            "export it in float32, so that the graph that was checked is the one that runs",
        )
    elif element in _NEEDS_CAPABILITY:
        yield (
            "note",
            f"{type_name(element)} needs compute capability {_NEEDS_CAPABILITY[element]} or later",
            f"do not ask for a capability below {_NEEDS_CAPABILITY[element]}",
        )


def _control_flow(inspection: Inspection) -> Iterator[Problem]:
    for at in inspection.nodes:
        if at[1].op_type in _CONTROL_FLOW and at[1].domain in ONNX_DOMAINS:
            yield inspection.problem(
                "note",
                f"{at[1].op_type}: an engine with control flow cannot be captured in a CUDA graph, and nothing "
                "is fused across a branch",
                "export it without control flow, or expect slower launches",
                node=at,
            )


def _axes(inspection: Inspection) -> Iterator[Problem]:
    initializers = {tensor.name for tensor in inspection.model.graph.initializer}
    for value in inspection.model.graph.input:
        if value.name in initializers or not value.type.HasField("tensor_type"):
            continue
        tensor = value.type.tensor_type

        def about(kind: Kind, text: str, advice: str, name: str = value.name) -> Problem:
            return Problem(kind=kind, problem=text, module="", node=name, operator="input", advice=advice)

        if not tensor.HasField("shape"):
            yield about(
                "wrong",
                f"{value.name} has no shape, and {inspection.compiler.name} reads it as a scalar",
                "export it with its axes named",
            )
            continue
        for place, size in enumerate(tensor.shape.dim):
            if not size.HasField("dim_value") and not size.dim_param:
                yield about(
                    "note",
                    f"axis {place} of {value.name} has no name, so that a profile cannot name it",
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


def _quantized_type(
    inspection: Inspection, node: onnx.NodeProto, zero_point: onnx.TensorProto | None
) -> int | None:
    if zero_point is not None:
        return zero_point.data_type
    if len(node.input) > 2 and node.input[2]:
        return inspection.types.get(node.input[2])
    if node.op_type == "DequantizeLinear":
        return inspection.types.get(node.input[0]) if node.input else None
    # onnx.ai, QuantizeLinear: uint8 unless output_dtype or a zero point says otherwise
    return next(
        (entry.i for entry in node.attribute if entry.name == "output_dtype" and entry.i), _TYPES.UINT8
    )
