"""The result of a check, as rows of tables for people."""

from collections.abc import Mapping, Sequence

from pipeline.engines.preflight.check import Preflight
from pipeline.engines.preflight.inspection import Problem

COLUMNS = ("", "problem", "module", "node", "operator", "what to do")
SHOWN = 6
_MOST_CHARACTERS = 200
_MEANINGS = {"refused": "stops", "wrong": "stops", "note": "note"}


def rows(preflight: Preflight) -> list[tuple[str, ...]]:
    """A row for each kind of problem, with the first modules and nodes that have it."""
    groups: dict[tuple[str, ...], list[Problem]] = {}
    for entry in preflight.problems:
        groups.setdefault((entry.kind, entry.problem, entry.operator, entry.advice), []).append(entry)
    return [
        (
            _MEANINGS[kind],
            problem
            + "".join(f"\nthe parser: {entry.parser}" for entry in group if entry.parser)[:_MOST_CHARACTERS],
            _first([entry.module for entry in group]),
            _first([entry.node for entry in group]),
            operator,
            advice,
        )
        for (kind, problem, operator, advice), group in groups.items()
    ]


def facts(preflight: Preflight) -> tuple[tuple[str, str], ...]:
    """What the file contains, as rows of a name and a value."""
    contents = preflight.facts
    return (
        (
            "opsets",
            ", ".join(f"{domain or 'ai.onnx'} {version}" for domain, version in contents.opsets.items()),
        ),
        ("IR version", str(contents.ir_version)),
        *(
            (f"operators of {domain or 'ai.onnx'}", _counts(operators))
            for domain, operators in contents.operators.items()
        ),
        ("values by type", _counts(contents.types)),
        *(
            (f"input {name}", "no shape" if shape is None else " x ".join(map(str, shape)))
            for name, shape in contents.inputs.items()
        ),
        ("external data", ", ".join(contents.external) or "none"),
        ("parser", preflight.parser),
    )


def clear(preflight: Preflight) -> str:
    """The sentence for a result without problems; it says whether the parser agreed."""
    if not preflight.asked:
        return f"the rules found no problem; the parser was {preflight.parser}"
    return "there is no problem"


def _first(texts: Sequence[str]) -> str:
    different = [text for text in dict.fromkeys(texts) if text]
    more = [f"and {len(different) - SHOWN} more"] if len(different) > SHOWN else []
    return "\n".join([*different[:SHOWN], *more])


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items())
