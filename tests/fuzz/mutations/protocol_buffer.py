"""Changes to the structure of a protocol buffer, such as an ONNX file."""

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from tests.fuzz.mutations.choices import Choices

# Most inputs have one change, or nearly all would be refused for the first
_CHANGES = (1, 1, 1, 2, 4)
_REPEATS = (2, 20, 2_000)
_WHOLE = (0, 1, -1, 2, 3, 7, 10, 16, 64, 255, 1_000, 2**31 - 1, -(2**31), 2**40, 2**62, 2**63 - 1, -(2**63))
_FLOATS = (0.0, -1.0, float("nan"), float("inf"), 1e38)
_TEXTS = (
    "", "a", "\x00", "../../etc/passwd", "/etc/passwd", "\x1b[2J", "a" * 5_000, "com.microsoft", "ai.onnx.ml", "logits",
    "Loop", "If", "Constant", "ConstantOfShape", "Expand", "Tile", "Gather", "Reshape", "EPContext", "input_ids",
    "Range", "NonZero", "CastLike", "SequenceAt", "StringNormalizer", "location", "\U0001f4a9",
)  # fmt: skip


def changed(message: Message, choices: Choices) -> bytes:
    """`message`, which is changed, as bytes."""
    for _ in range(choices.of(_CHANGES)):
        _change(message, choices)
    return message.SerializeToString()


def _change(message: Message, choices: Choices) -> None:
    while True:
        inner = [field for field, _ in message.ListFields() if field.type == FieldDescriptor.TYPE_MESSAGE]
        if not inner or choices.once_in(6):
            break
        field = choices.of(inner)
        value = getattr(message, field.name)
        if field.is_repeated:
            at = choices.number(0, len(value) - 1)
            if choices.once_in(4):
                _change_list(value, at, choices)
                return
            value = value[at]
        message = value
    _change_field(message, choices)


def _change_list(entries: object, at: int, choices: Choices) -> None:
    """Remove, copy or move one of the messages in a list."""
    kind = choices.of(["remove", "copy", "move", "cut"])
    if kind == "remove":
        del entries[at]
    elif kind == "cut":
        del entries[at:]
    elif kind == "move":
        entries[at].CopyFrom(entries[choices.number(0, len(entries) - 1)])
    else:
        entry = entries[at]
        entries.extend([entry] * choices.of(_REPEATS if entry.ByteSize() < 1_000 else (2,)))


def _change_field(message: Message, choices: Choices) -> None:
    """Change one field that is not a message, or clear any one."""
    present = [field for field, _ in message.ListFields()]
    absent = [field for field in message.DESCRIPTOR.fields if field not in present]
    field = choices.of([*present, *absent] or list(message.DESCRIPTOR.fields))
    if field.type == FieldDescriptor.TYPE_MESSAGE:
        message.ClearField(field.name)
        return
    value = _value(field, choices)
    if not field.is_repeated:
        setattr(message, field.name, value)
        return
    entries = getattr(message, field.name)
    kind = choices.of(["set", "append", "clear", "many"])
    if kind == "set" and entries:
        entries[choices.number(0, len(entries) - 1)] = value
    elif kind == "clear":
        message.ClearField(field.name)
    else:
        entries.extend([value] * (choices.of(_REPEATS) if kind == "many" else 1))


def _value(field: FieldDescriptor, choices: Choices) -> object:
    if field.type == FieldDescriptor.TYPE_ENUM:
        return choices.of([value.number for value in field.enum_type.values])
    if field.type == FieldDescriptor.TYPE_STRING:
        return choices.of(_TEXTS)
    if field.type == FieldDescriptor.TYPE_BYTES:
        return choices.of(_TEXTS).encode() * choices.of((1, 1, 7))
    if field.type in (FieldDescriptor.TYPE_FLOAT, FieldDescriptor.TYPE_DOUBLE):
        return choices.of(_FLOATS)
    if field.type == FieldDescriptor.TYPE_BOOL:
        return choices.once_in(2)
    narrow = field.type in (FieldDescriptor.TYPE_INT32, FieldDescriptor.TYPE_UINT32)
    low = 0 if field.type in (FieldDescriptor.TYPE_UINT32, FieldDescriptor.TYPE_UINT64) else -(2**63)
    return choices.of([value for value in _WHOLE if low <= value and (not narrow or abs(value) < 2**31)])
