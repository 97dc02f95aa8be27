"""What is known of the constants in an ONNX file: how many values each has at most, and the sizes that it gives.

The numbers here are the fields of onnx/onnx.proto.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import chain, zip_longest

from distilforge.checks.attributes import INT, INTS, REFERENCE, SPARSE, TENSOR, field_of
from distilforge.onnx_fields import Bytes, fields, name, numbers

UNKNOWN = 1 << 80
"""A number of values, or a size, of which nothing is known: more than any machine holds."""
# A shape has fewer sizes
_MOST_SIZES = 64
# Bytes of a number
_MOST_DIGITS = 10
_INT32, _INT64 = 6, 7
_BYTES = {_INT32: 4, _INT64: 8}


@dataclass(frozen=True, slots=True)
class Constant:
    """A tensor that does not depend on a graph's inputs."""

    elements: int
    """At most how many values it has. A size of 0 counts as 1: the sum over no rows has values again."""
    shape: tuple[int, ...] | None = None
    """At most how large it is along each axis; None where that is not known."""
    sizes: tuple[int, ...] | None = None
    """At most how large each of its whole numbers is, without its sign; None where that is not known."""

    @property
    def volume(self) -> int:
        """At most how many values a tensor has whose shape this is."""
        return UNKNOWN if self.sizes is None else _product(self.sizes)


Rule = Callable[[Sequence[Constant]], Constant]


def tensor(message: Bytes) -> tuple[str, Constant]:
    """The name and the content of a TensorProto."""
    shape: list[int] = []
    entries: list[int] = []
    own, kind, raw = "", 0, None
    for number, value in fields(message):
        if number == 1:
            _add_axes(shape, value)
        elif number == 2 and isinstance(value, int):
            kind = value
        elif number in (5, 7) and _is_short(value) and len(entries) <= _MOST_SIZES:
            entries += map(_signed, numbers(value))
        elif number == 8 and not isinstance(value, int):
            own = name(value)
        elif number == 9 and not isinstance(value, int):
            raw = value
    constant = _of_shape(shape)
    if kind not in _BYTES or constant.elements > _MOST_SIZES:
        return own, constant
    if raw is not None and _is_short(raw):
        width = _BYTES[kind]
        entries = [
            int.from_bytes(raw[place : place + width], "little", signed=True)
            for place in range(0, len(raw), width)
        ]
    # Outside of the file, or contradictory, which an engine refuses
    if len(entries) != math.prod(shape):
        return own, constant
    return own, Constant(constant.elements, constant.shape, tuple(map(abs, entries)))


def sparse_tensor(message: Bytes) -> tuple[str, Constant]:
    """The name and the shape of a SparseTensorProto, with the zeros that it leaves out."""
    shape: list[int] = []
    own = None
    for number, value in fields(message):
        if number == 3:
            _add_axes(shape, value)
        elif number == 1 and not isinstance(value, int):
            if own is not None:
                raise ValueError(f"the sparse weight {own!r:.200} has its values twice")
            own = tensor(value)[0]
    return own or "", _of_shape(shape)


def of_attributes(attributes: Sequence[Bytes], passed: int) -> tuple[Constant, bool]:
    """The value of a node `Constant` with these attributes, and whether it is sparse.

    `passed` is at most how many values an attribute has that a function is called with. Raises ValueError for more
    than one attribute, of which engines take one or the other.
    """
    if len(attributes) > 1:
        raise ValueError("a constant in it has more than one attribute")
    kind = field_of(attributes[0]) if attributes else 0
    values = [value for number, value in chain.from_iterable(map(fields, attributes)) if number == kind]
    for value in values:
        if kind == TENSOR and not isinstance(value, int):
            return tensor(value)[1], False
        if kind == SPARSE and not isinstance(value, int):
            return sparse_tensor(value)[1], True
        if kind == INT and isinstance(value, int):
            return Constant(1, (), (abs(_signed(value)),)), False
    if kind == REFERENCE:
        return Constant(passed), False
    if kind == INTS and all(map(_is_short, values)):
        whole = [_signed(number) for value in values for number in numbers(value)]
        if 0 < len(whole) <= _MOST_SIZES:
            return Constant(len(whole), (len(whole),), tuple(map(abs, whole))), False
    # A number, or texts: an attribute has fewer values than bytes
    return Constant(max(1, sum(map(len, attributes)))), False


def result(operator: str, inputs: Sequence[Constant], attributes: Sequence[Bytes]) -> Constant | None:
    """The result of a node whose inputs are all constants; None where nothing is known of it."""
    if operator == "Cast":
        return _cast(inputs, attributes)
    if operator == "ConstantOfShape":
        return _filled(inputs, attributes)
    rule = _RULES.get(operator)
    if rule is None:
        return None
    found = rule(inputs)
    # With attributes, a part of the shape
    return _anywhere(found) if operator == "Shape" and attributes else found


def _cast(inputs: Sequence[Constant], attributes: Sequence[Bytes]) -> Constant:
    """The input; other types than these can turn -1 into a large number."""
    types = [value for number, value in chain.from_iterable(map(fields, attributes)) if number == 3]
    is_signed = bool(types) and all(kind in _BYTES for kind in types)
    return Constant(inputs[0].elements, inputs[0].shape, inputs[0].sizes if is_signed else None)


def _same(inputs: Sequence[Constant]) -> Constant:
    return Constant(inputs[0].elements, inputs[0].shape)


def _copied(inputs: Sequence[Constant]) -> Constant:
    return inputs[0]


def _reshaped(inputs: Sequence[Constant]) -> Constant:
    return Constant(inputs[0].elements)


def _reshaped_copy(inputs: Sequence[Constant]) -> Constant:
    return Constant(inputs[0].elements, None, inputs[0].sizes)


def _part(inputs: Sequence[Constant]) -> Constant:
    return _anywhere(_reshaped_copy(inputs))


def _broadcast(inputs: Sequence[Constant]) -> Constant:
    shapes = [value.shape for value in inputs if value.shape is not None]
    if len(shapes) < len(inputs):
        return _multiplied(inputs)
    return _of_shape(_broadcast_shape(shapes))


def _multiplied(inputs: Sequence[Constant]) -> Constant:
    """As many values as all inputs multiplied, which is also more than the products in a matrix product."""
    return Constant(_product(value.elements for value in inputs))


def _arithmetic(combine: Callable[[int, int], int]) -> Rule:
    def rule(inputs: Sequence[Constant]) -> Constant:
        found = _broadcast(inputs)
        first, second = inputs[0].sizes, inputs[1].sizes if len(inputs) > 1 else None
        if not first or not second or (len(first) != len(second) and 1 not in (len(first), len(second))):
            return found
        count = max(len(first), len(second))
        if count != found.elements:
            return found
        pairs = zip(first * (count // len(first)), second * (count // len(second)), strict=True)
        return Constant(found.elements, found.shape, tuple(min(combine(*pair), UNKNOWN) for pair in pairs))

    return rule


def _concatenated(inputs: Sequence[Constant]) -> Constant:
    elements = sum(value.elements for value in inputs)
    known = [value.sizes for value in inputs if value.sizes is not None]
    if len(known) < len(inputs) or elements > _MOST_SIZES:
        return Constant(elements)
    return Constant(elements, None, tuple(chain.from_iterable(known)))


def _gathered(inputs: Sequence[Constant]) -> Constant:
    data, indices = inputs[0], inputs[1] if len(inputs) > 1 else Constant(UNKNOWN)
    # Of the axis, only the bound is known that the shortest one gives
    row = data.elements // max(1, min(data.shape)) if data.shape else data.elements
    if data.shape is not None and len(data.shape) == 1:
        row = 1
    elements = min(row * indices.elements, UNKNOWN)
    if not data.sizes or elements > _MOST_SIZES:
        return Constant(elements)
    return Constant(elements, None, (max(data.sizes),) * elements)


def _shape(inputs: Sequence[Constant]) -> Constant:
    shape = inputs[0].shape
    # An unknown shape has few axes, of any size
    return Constant(_MOST_SIZES) if shape is None else Constant(len(shape) or 1, (len(shape),), shape)


def _size(inputs: Sequence[Constant]) -> Constant:
    return Constant(1, (), (inputs[0].elements,))


def _filled(inputs: Sequence[Constant], attributes: Sequence[Bytes]) -> Constant:
    if inputs[0].sizes is None:
        return Constant(UNKNOWN)
    found = _of_shape(inputs[0].sizes)
    # Without an attribute it is filled with 0.0
    value = of_attributes(attributes, 1)[0] if len(attributes) == 1 else Constant(1)
    if not value.sizes or found.elements > _MOST_SIZES:
        return found
    return Constant(found.elements, found.shape, (max(value.sizes),) * found.elements)


def _largest(inputs: Sequence[Constant]) -> Constant:
    return reduce(lambda found, other: _arithmetic(max)((found, other)), inputs)


def _chosen(inputs: Sequence[Constant]) -> Constant:
    """Each value is one of two."""
    found, values = _broadcast(inputs), _largest(inputs[1:]) if len(inputs) == 3 else None
    if values is None or values.elements != found.elements:
        return found
    return Constant(found.elements, found.shape, values.sizes)


def _expanded(inputs: Sequence[Constant]) -> Constant:
    shape = inputs[1].sizes if len(inputs) > 1 else None
    if shape is None or inputs[0].shape is None:
        return Constant(_product((inputs[0].elements, UNKNOWN if shape is None else _product(shape))))
    return _of_shape(_broadcast_shape((inputs[0].shape, shape)))


def _tiled(inputs: Sequence[Constant]) -> Constant:
    return Constant(_product((inputs[0].elements, *(value.volume for value in inputs[1:]))))


def _range(inputs: Sequence[Constant]) -> Constant:
    ends = [value.sizes[0] if value.sizes else UNKNOWN for value in inputs[:2]]
    # A step of whole numbers is at least 1; of others, nothing is known
    elements = _product([sum(ends)])
    return Constant(elements, (elements,), (elements,) * elements if elements <= _MOST_SIZES else None)


def _padded(inputs: Sequence[Constant]) -> Constant:
    shape, pads = inputs[0].shape, inputs[1].sizes if len(inputs) > 1 else None
    if shape is None or pads is None or len(pads) != 2 * len(shape):
        return Constant(UNKNOWN)
    half = len(shape)
    if len(inputs) > 2:
        # The last may say which axis each of `pads` is for
        return _of_shape([size + sum(pads) for size in shape])
    return _of_shape([size + pads[axis] + pads[half + axis] for axis, size in enumerate(shape)])


def _one_hot(inputs: Sequence[Constant]) -> Constant:
    return Constant(
        _product(value.elements if not place else value.volume for place, value in enumerate(inputs[:2]))
    )


def _every_axis(inputs: Sequence[Constant]) -> Constant:
    axes = _MOST_SIZES if inputs[0].shape is None else len(inputs[0].shape)
    return Constant(_product((inputs[0].elements, axes)))


_OPERATORS: Mapping[Rule, str] = {
    _copied: "Abs Identity Neg",
    _same: (
        "BiasGelu CastLike Ceil Clip Cos CumSum DequantizeLinear DynamicQuantizeLinear Elu Erf Exp FastGelu Floor Gelu "
        "HardSigmoid IsInf IsNaN LayerNormalization LeakyRelu Log LogSoftmax Not QuantizeLinear QuickGelu "
        "RMSNormalization Reciprocal Relu Round Sigmoid Sign SimplifiedLayerNormalization Sin Softmax Softplus Sqrt "
        "Tanh Trilu"
    ),
    _reshaped: (
        "ArgMax ArgMin Compress Flatten ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin "
        "ReduceProd ReduceSum ReduceSumSquare ScatterElements ScatterND Split Transpose"
    ),
    _reshaped_copy: "Reshape Squeeze Unsqueeze",
    _part: "Slice",
    _broadcast: (
        "And BitwiseAnd BitwiseOr BitwiseXor Equal Greater GreaterOrEqual Less LessOrEqual Mod Or PRelu Pow Xor"
    ),
    _multiplied: "Gemm MatMul MatMulInteger MatMulIntegerToFloat QLinearMatMul",
    _largest: "Max Min",
    _chosen: "Where",
    _arithmetic(lambda first, second: first + second): "Add Sub",
    _arithmetic(lambda first, second: first * second): "Mul",
    _arithmetic(lambda first, _: first): "Div",
    _concatenated: "Concat",
    _gathered: "Gather",
    _shape: "Shape",
    _size: "Size",
    _expanded: "Expand",
    _tiled: "Tile",
    _range: "Range",
    _padded: "Pad",
    _one_hot: "OneHot",
    _every_axis: "NonZero",
}
_RULES: Mapping[str, Rule] = {
    operator: rule for rule, operators in _OPERATORS.items() for operator in operators.split()
}


def _of_shape(shape: Sequence[int]) -> Constant:
    return Constant(_product(shape), tuple(shape))


def _product(sizes: Iterable[int]) -> int:
    """The product, at most UNKNOWN; a size of 0 counts as 1."""
    product = 1
    for size in sizes:
        product = min(product * max(size, 1), UNKNOWN)
    return product


def _broadcast_shape(shapes: Iterable[Sequence[int]]) -> list[int]:
    """At most how large the result of shapes is that are broadcast to each other."""
    reversed_shapes = (reversed(shape) for shape in shapes)
    return [max(sizes) for sizes in zip_longest(*reversed_shapes, fillvalue=1)][::-1]


def _anywhere(constant: Constant) -> Constant:
    """The same sizes in any order: each may be the largest."""
    if not constant.sizes:
        return constant
    return Constant(constant.elements, constant.shape, (max(constant.sizes),) * len(constant.sizes))


def _add_axes(shape: list[int], value: int | Bytes) -> None:
    """Add the sizes in a field of a shape; ValueError for more than engines take, which would take long to read."""
    if not isinstance(value, int) and not _is_short(value):
        raise ValueError(f"a weight has a shape of {len(value):,} bytes; at most {_MOST_SIZES} axes are read")
    shape += numbers(value)
    if len(shape) > _MOST_SIZES:
        raise ValueError(f"a weight has a shape of more than {_MOST_SIZES} axes, the most that are read")


def _is_short(value: int | Bytes) -> bool:
    """Whether a field may be one with sizes, and not with a weight."""
    return isinstance(value, int) or len(value) <= _MOST_SIZES * _MOST_DIGITS


def _signed(number: int) -> int:
    """A whole number of 64 bits, of which protocol buffers keep the two's complement."""
    return number - (1 << 64) if number >> 63 else number
