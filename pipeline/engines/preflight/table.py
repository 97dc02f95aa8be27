"""What a pre-flight found, as rows for people."""

from collections.abc import Mapping, Sequence

from pipeline.engines.preflight.check import Preflight
from pipeline.engines.preflight.observations import Problem

COLUMNS = ("", "problem", "module", "node", "operator", "what to do")
SHOWN = 6
NOT_ASKED = "not asked"
_WORDS = 200
_MEANINGS = {"refused": "stops", "wrong": "stops", "note": "note"}


def rows(found: Preflight) -> list[tuple[str, ...]]:
    """A row for each kind of problem, with the first modules that have it."""
    groups: dict[tuple[str, ...], list[Problem]] = {}
    for each in found.problems:
        groups.setdefault((each.kind, each.problem, each.operator, each.advice), []).append(each)
    return [
        (
            _MEANINGS[kind],
            problem + "".join(f"\nthe parser: {each.parser}" for each in group if each.parser)[:_WORDS],
            _first([each.module for each in group]),
            _first([each.node for each in group]),
            operator,
            advice,
        )
        for (kind, problem, operator, advice), group in groups.items()
    ]


def facts(found: Preflight) -> tuple[tuple[str, str], ...]:
    """What the file holds, as a row each."""
    held = found.facts
    return (
        ("opsets", ", ".join(f"{domain or 'ai.onnx'} {version}" for domain, version in held.opsets.items())),
        ("IR version", str(held.ir_version)),
        *(
            (f"operators of {domain or 'ai.onnx'}", _counts(operators))
            for domain, operators in held.operators.items()
        ),
        ("values by type", _counts(held.types)),
        *(
            (f"input {name}", "no shape" if shape is None else " x ".join(map(str, shape)))
            for name, shape in held.inputs.items()
        ),
        ("external data", ", ".join(held.external) or "none"),
        ("parser", found.parser),
    )


def clear(found: Preflight) -> str:
    """What to say where there is no problem: how much that is worth depends on who looked."""
    if found.parser.startswith(NOT_ASKED):
        return f"the rules found nothing that stands in the way; the parser was {found.parser}"
    return "nothing stands in the way"


def _first(texts: Sequence[str]) -> str:
    different = [text for text in dict.fromkeys(texts) if text]
    more = [f"and {len(different) - SHOWN} more"] if len(different) > SHOWN else []
    return "\n".join([*different[:SHOWN], *more])


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items())
