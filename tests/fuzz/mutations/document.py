"""Changes to the structure of JSON and TOML documents, and how they are written afterwards."""

import copy
import json
import math
import tomllib
from collections.abc import Callable
from dataclasses import dataclass

from tests.fuzz.mutations import damage
from tests.fuzz.mutations.choices import Choices

# Most inputs have one change, or nearly all would be refused for the first
_CHANGES = (1, 1, 1, 2, 4)
_LONGEST = 8 << 20


@dataclass(frozen=True, slots=True)
class Raw:
    """Text that is written as it is."""

    text: str


class Members(list[tuple[str, object]]):
    """The members of an object, in which a name can be there twice."""


Render = Callable[[object], str]

_TEXTS = (
    "", " ", "\x00", "a\x00b", "\x1b[2J\x1b]0;title\x07", "\u202egnp.exe", "\ud800", "\n\n", ":100:", "[link](x)",
    "../../etc/passwd", "/etc/passwd", "/dev/zero", "..", ".", "~", "a/b", "a\\b", "C:\\x", "file:///etc/passwd",
    "nan", "null", "true", "-1", "9" * 30, "{}", "a" * 300, "a" * 70_000, "\U0001f4a9" * 500, "e\u0301" * 100,
    "(a+)+$", "[", "%s%n", "${HOME}", "<script>", "'; --", "[UNK]", "[MASK]", "##", "\ufeff", "\u0130",
)  # fmt: skip
_NUMBERS = (
    0, -0.0, 1, -1, 2, 7, 63, 64, 65, 255, 1000, 2**31 - 1, 2**31, 2**32, 2**53 + 1, 2**63 - 1, 2**63, 2**64, -(2**63),
    10**20, 10**400, 0.5, 1e-320, 1e30, 1e308, math.nan, math.inf, -math.inf,
)  # fmt: skip
_RAW = (
    "9" * 4_300, "9" * 5_000, "1e999", "-", "01", "0x10", "1_000", "'a'", "NaN", "[" * 65 + "]" * 65, "[" * 100_000,
    '{"a":' * 100 + "1" + "}" * 100, "[" * 990 + "]" * 990, "", ",", '"\\ud83d"', '"\\u0000"', '"\t"', "1979-05-27",
    "07:32:00", '"""a"""',
)  # fmt: skip


def changed(root: object, render: Render, choices: Choices) -> str:
    """The document `root`, which is changed, as `render` writes it."""
    document = [root]
    for _ in range(choices.of(_CHANGES)):
        _change(document, render, choices)
    return render(document[0])


def _change(document: list[object], render: Render, choices: Choices) -> None:
    """One change somewhere in document[0]."""
    container, index = _place(document, choices)
    value = _get(container, index)
    kind = choices.of(["odd", "edit", "remove", "rename", "repeat", "move", "many", "nest"])
    if kind == "edit" and isinstance(value, (int, float, str)):
        _set(container, index, _edited(value, choices))
    elif kind == "remove" and container is not document:
        del container[index]
    elif kind == "rename" and isinstance(container, Members):
        container[index] = (choices.of([*sorted(_names_in(document[0])), *_TEXTS]), value)
    elif kind == "repeat" and container is not document:
        container.insert(index, container[index])
    elif kind == "move":
        # A copy, or the document could contain itself
        _set(container, index, copy.deepcopy(_get(*_place(document, choices))))
    elif kind == "many":
        _set(container, index, _many(render(value), choices))
    elif kind == "nest":
        levels = choices.of([1, 2, 10, 62, 65, 200, 2_000, 100_000])
        _set(container, index, Raw("[" * levels + render(value) + "]" * levels))
    else:
        _set(container, index, _odd(choices))


def _odd(choices: Choices) -> object:
    """A value that a reader may not expect."""
    kind = choices.of(["constant", "number", "text", "empty", "raw"])
    if kind == "number":
        return choices.of(_NUMBERS)
    if kind == "text":
        return choices.of(_TEXTS)
    if kind == "empty":
        empty = [
            [],
            [None],
            [0],
            [""],
            [[]],
            Members(),
            Members([("", 0)]),
            Members([("a", None), ("a", None)]),
        ]
        return choices.of([*empty, Members([("type", "Sequence")])])
    return Raw(choices.of(_RAW)) if kind == "raw" else choices.of([None, False, True])


def _place(document: list[object], choices: Choices) -> tuple[list[object], int]:
    """A container in `document`, and the index of one of its entries."""
    container = document
    index = 0
    while True:
        value = _get(container, index)
        if not isinstance(value, list) or not value or choices.once_in(6):
            return container, index
        container, index = value, choices.number(0, len(value) - 1)


def _get(container: list[object], index: int) -> object:
    entry = container[index]
    return entry[1] if isinstance(container, Members) else entry


def _set(container: list[object], index: int, value: object) -> None:
    container[index] = (container[index][0], value) if isinstance(container, Members) else value


def _edited(value: object, choices: Choices) -> object:
    """A value near `value`, or written as another type."""
    if isinstance(value, str):
        at = choices.number(0, len(value))
        inserted = value[:at] + choices.of(_TEXTS) + value[at:]
        whole = [value * 2, value * 100, value.upper(), [value], f" {value}", f"{value}/..", f"./{value}"]
        return choices.of([value[:at], inserted, inserted, *whole])
    near = [
        value + 1,
        value - 1,
        -value,
        value * 2,
        value * 1_000,
        value // 3,
        str(value),
        [value],
        bool(value),
    ]
    return choices.of([*near, float(value) if abs(value) < 1e300 else 0.0])


def _many(entry: str, choices: Choices) -> Raw:
    """A list, or an object, with many copies of `entry`."""
    counts = [count for count in (2, 17, 1_001, 20_000, 400_000) if count * (len(entry) + 12) < _LONGEST]
    count = choices.of(counts or [2])
    if choices.once_in(2):
        return Raw("{" + ",".join(f'"name {number}":{entry}' for number in range(count)) + "}")
    return Raw("[" + ",".join([entry] * count) + "]")


def _names_in(value: object) -> set[str]:
    if not isinstance(value, list):
        return set()
    names = {name for name, _ in value} if isinstance(value, Members) else set()
    entries = [entry for _, entry in value] if isinstance(value, Members) else value
    return names.union(*map(_names_in, entries))


def changed_json(content: bytes, choices: Choices) -> bytes:
    """The JSON document `content` after some changes."""
    return damage.encoded(changed(read_json(content.decode()), render_json, choices), choices)


def changed_toml(content: bytes, choices: Choices) -> bytes:
    """The TOML document `content` after some changes."""
    root = of_dicts(tomllib.loads(content.decode()))
    return damage.encoded(changed(root, render_toml, choices), choices)


def read_json(text: str) -> object:
    """The value of a JSON document, with `Members` for objects."""
    return json.loads(text, object_pairs_hook=Members)


def render_json(value: object) -> str:
    """A document as JSON."""
    if isinstance(value, Raw):
        return value.text
    if isinstance(value, Members):
        return "{" + ",".join(f"{json.dumps(name)}:{render_json(entry)}" for name, entry in value) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(render_json, value)) + "]"
    return json.dumps(value)


def of_dicts(value: object) -> object:
    """A document with `Members` for dicts."""
    if isinstance(value, dict):
        return Members((name, of_dicts(entry)) for name, entry in value.items())
    return [of_dicts(entry) for entry in value] if isinstance(value, list) else value


def render_toml(value: object) -> str:
    """A document as TOML: a line for each member of the outermost object, in which all others are inline tables."""
    if not isinstance(value, Members):
        return _inline(value)
    return "".join(f"{json.dumps(name)} = {_inline(entry)}\n" for name, entry in value)


def _inline(value: object) -> str:
    if isinstance(value, Members):
        return "{" + ",".join(f"{json.dumps(name)}={_inline(entry)}" for name, entry in value) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_inline, value)) + "]"
    return repr(value) if isinstance(value, float) else render_json(value)


def render_lines(value: object) -> str:
    """A list as lines: texts as they are, other values as JSON."""
    entries = value if isinstance(value, list) and not isinstance(value, Members) else [value]
    return "".join(f"{entry if isinstance(entry, str) else render_json(entry)}\n" for entry in entries)
