"""Checks which files the engines of an ONNX file name, before a provider of ONNX Runtime opens them.

An EPContext node holds a compiled engine, or names the file that does: operator com.microsoft.EPContext. ONNX files are
protocol buffers; the numbers here are the fields of onnx/onnx.proto.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from distilforge.errors import ReleaseError
from distilforge.manifest import Variant
from distilforge.onnx_fields import Bytes, fields, mapped, text

_OPERATOR = b"EPContext"
_FILE, _EMBEDDED = "ep_cache_context", "embed_mode"
# Providers make file names from these
_NAMES = ("onnx_model_filename", "partition_name")
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+\-]{0,199}")
_MOST_LEVELS = 16
_MOST_TEXT_BYTES = 4096
_HINT = "do not use this release unless you trust where it came from"
_GRAPH, _FUNCTIONS = 7, 25
_NODES_OF_A_GRAPH, _NODES_OF_A_FUNCTION = 1, 7


def check(folder: Path, variant: Variant) -> None:
    """Raise ReleaseError if the variant's ONNX file names a file that is not one of the variant's, beside it."""
    for context in _read(folder, variant):
        _check_context(context, variant)


def check_absent(folder: Path, variant: Variant) -> None:
    """Raise ReleaseError if the variant's ONNX file has an engine, for a provider that is only given graphs."""
    if _read(folder, variant):
        raise ReleaseError(
            f"{variant.files[0]!r:.200} has an engine, in a node {_OPERATOR.decode()}; the graph of the variant "
            f"{variant.name!r:.200} must not have one",
            hint=_HINT,
        )


def _read(folder: Path, variant: Variant) -> list[dict[str, str | int]]:
    """The attributes of every EPContext node of the variant's ONNX file."""
    path = folder / variant.files[0]
    try:
        content = mapped(path)
        # Most graphs do not have such a node, and a search takes no time
        if content.find(_OPERATOR) < 0:
            return []
        return list(_contexts(memoryview(content)))
    except (OSError, ValueError) as cause:
        raise ReleaseError(
            f"{variant.files[0]!r:.200} is not a readable ONNX file: {cause}",
            hint="publish the release again",
        ) from cause


def _check_context(context: Mapping[str, str | int], variant: Variant) -> None:
    names = [name for name in _NAMES if context.get(name)]
    if context.get(_EMBEDDED, 1) != 1:
        names.append(_FILE)
    for name in names:
        value = context.get(name)
        if not isinstance(value, str) or not _PLAIN_NAME.fullmatch(value):
            raise ReleaseError(
                f"an engine in {variant.files[0]!r:.200} has the {name} {value!r:.200}; it must be a plain file name",
                hint=_HINT,
            )
    if _FILE in names:
        file = PurePosixPath(variant.files[0]).with_name(str(context[_FILE])).as_posix()
        if file not in variant.files:
            raise ReleaseError(
                f"an engine in {variant.files[0]!r:.200} names the file {file!r}, which is not one of the variant "
                f"{variant.name!r:.200}",
                hint=_HINT,
            )


def _contexts(model: Bytes) -> Iterator[dict[str, str | int]]:
    """The attributes of every EPContext node of the model, its functions and its subgraphs."""
    for number, value in fields(model):
        if isinstance(value, int):
            continue
        if number == _GRAPH:
            yield from _in_nodes(value, _NODES_OF_A_GRAPH, _MOST_LEVELS)
        elif number == _FUNCTIONS:
            yield from _in_nodes(value, _NODES_OF_A_FUNCTION, _MOST_LEVELS)
        value.release()


def _in_nodes(graph: Bytes, nodes: int, levels: int) -> Iterator[dict[str, str | int]]:
    if levels == 0:
        raise ValueError(f"its graphs are nested more than {_MOST_LEVELS} deep")
    for number, node in fields(graph):
        if isinstance(node, int):
            continue
        if number == nodes:
            yield from _in_node(node, levels)
        node.release()


def _in_node(node: Bytes, levels: int) -> Iterator[dict[str, str | int]]:
    operator = ""
    attributes: list[tuple[str, list[str | int]]] = []
    for number, value in fields(node):
        if isinstance(value, int):
            continue
        if number == 4:
            operator = text(value)
        elif number == 5:
            name = ""
            contents: list[str | int] = []
            for kind, part in fields(value):
                if kind == 3 and isinstance(part, int):
                    contents.append(part)
                elif isinstance(part, int):
                    continue
                elif kind == 1:
                    name = text(part)
                elif kind == 4:
                    contents.append(text(part) if len(part) <= _MOST_TEXT_BYTES else "")
                elif kind in (6, 11):
                    yield from _in_nodes(part, _NODES_OF_A_GRAPH, levels - 1)
            attributes.append((name, contents))
    if operator == _OPERATOR.decode():
        yield _unambiguous(attributes)


def _unambiguous(attributes: list[tuple[str, list[str | int]]]) -> dict[str, str | int]:
    """The value of each attribute; ValueError if providers could read another one than this module."""
    values: dict[str, str | int] = {}
    for name, contents in attributes:
        if name in values or len(contents) > 1:
            raise ValueError(f"an engine has more than one value of {name!r:.80}")
        values[name] = contents[0] if contents else ""
    return values
