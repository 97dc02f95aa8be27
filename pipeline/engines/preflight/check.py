"""A look at any ONNX file before an engine is built of it: what stands in the way, where, and what to do about it."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from pipeline.engines.flavours import FLAVOURS, Flavour
from pipeline.engines.preflight import observations, rules
from pipeline.engines.preflight.observations import Kind, Problem, type_name
from pipeline.errors import StageError, UsageError
from pipeline.graph.names import module_of
from pipeline.registry import unknown
from pipeline.store.versions import installed

_ORDER: tuple[Kind, ...] = ("refused", "wrong", "note")


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a file holds: operators by domain, values and weights by type, the axes of every input, external data."""

    ir_version: int
    opsets: Mapping[str, int]
    operators: Mapping[str, Mapping[str, int]]
    types: Mapping[str, int]
    inputs: Mapping[str, tuple[int | str, ...] | None]
    external: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Preflight:
    """What was found; true where nothing stands in the way.

    parser: the toolkit whose parser was asked, with its version, or why none was.
    """

    model: str
    flavour: str
    facts: Facts
    parser: str
    problems: tuple[Problem, ...]

    @property
    def obstacles(self) -> tuple[Problem, ...]:
        return tuple(each for each in self.problems if each.kind != "note")

    def __bool__(self) -> bool:
        return not self.obstacles

    def to_json(self) -> dict[str, object]:
        """The same as JSON."""
        return {**asdict(self), "passes": bool(self)}


def check(path: Path, flavour: Flavour) -> Preflight:
    """Look at the model in `path`; UsageError where it is no ONNX."""
    model = _read(path)
    external, problems = _external_data(model, path.parent)
    seen = observations.look(model, flavour)
    problems += rules.problems(seen)
    if any(each.operator == _EXTERNAL for each in problems):
        parser = "not asked: external data is missing"
    else:
        parser, problems = _ask(path, flavour, problems)
    return Preflight(
        model=str(path),
        flavour=flavour.name,
        facts=_facts(seen, external),
        parser=parser,
        problems=tuple(sorted(problems, key=lambda each: _ORDER.index(each.kind))),
    )


def find(target: str) -> Flavour:
    """The flavour of the target's name; UsageError for any other."""
    if target not in FLAVOURS:
        raise unknown("compiler of engines", target, tuple(FLAVOURS))
    return FLAVOURS[target]


def judge(found: Preflight) -> None:
    """StageError where something stands in the way."""
    if not found:
        count = len(found.obstacles)
        raise StageError(
            "check",
            f"{count} {'problem stands' if count == 1 else 'problems stand'} in the way of an engine of "
            f"{found.flavour} from {found.model}",
            hint="the table says what to do about each; --json names every node",
        )


def _read(path: Path) -> onnx.ModelProto:
    try:
        model = onnx.load(path, load_external_data=False)
    except FileNotFoundError as cause:
        raise UsageError(
            f"there is no file {path}", hint="`distilforge export` writes an ONNX file"
        ) from cause
    except IsADirectoryError as cause:
        raise UsageError(f"{path} is a folder", hint="name the .onnx file in it") from cause
    except (DecodeError, ValueError) as cause:
        raise UsageError(
            f"{path} is no ONNX file, or a damaged one: {cause}", hint="copy or export it again"
        ) from cause
    if not model.ir_version or not model.graph.output:
        # protocol buffers take an empty file, and many a text, for a message without fields
        raise UsageError(
            f"{path} is no ONNX file, or a damaged one: it holds no graph with an output",
            hint="copy or export it again",
        )
    return model


_EXTERNAL = "external data"


def _external_data(model: onnx.ModelProto, folder: Path) -> tuple[tuple[str, ...], tuple[Problem, ...]]:
    """The files that hold weights, and what is wrong with each of them."""
    ends: dict[str, int] = {}
    first: dict[str, str] = {}
    for tensor in (tensor for graph in observations.graphs(model) for tensor in graph.initializer):
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            entries = {entry.key: entry.value for entry in tensor.external_data}
            name = entries.get("location", "")
            first.setdefault(name, tensor.name)
            end = _number(entries.get("offset")) + _number(entries.get("length"))
            ends[name] = max(ends.get(name, 0), end)
    problems = []
    for name, end in ends.items():
        path = folder / name
        if Path(name).is_absolute() or ".." in Path(name).parts:
            text, advice = f"{name!r} lies outside the model's folder", "save the model again beside its data"
        elif not path.is_file():
            text, advice = f"{name!r} is not beside the model", f"put it into {folder}"
        elif path.stat().st_size < end:
            text = f"{name!r} ends after {path.stat().st_size} bytes, and weights reach to {end}"
            advice = "copy it again: it is cut off"
        else:
            continue
        problems.append(
            Problem(
                kind="refused",
                problem=text,
                module=first[name].rpartition(".")[0],
                node=first[name],
                operator=_EXTERNAL,
                advice=advice,
            )
        )
    return tuple(ends), tuple(problems)


def _number(text: str | None) -> int:
    return int(text) if text and text.isdecimal() else 0


def _ask(path: Path, flavour: Flavour, problems: tuple[Problem, ...]) -> tuple[str, tuple[Problem, ...]]:
    """What the toolkit's parser adds to `problems`, or why it was not asked."""
    missing = [package for package in (flavour.package, "polygraphy") if installed(package) is None]
    if missing:
        needs = " and ".join(missing)
        return f"not asked: {needs} is not installed; pip install {flavour.extra}", problems
    command = (sys.executable, "-m", "pipeline.engines.preflight.parser", flavour.module, str(path))
    # Polygraphy picks the toolkit as it is imported
    environment = {
        **os.environ,
        "POLYGRAPHY_USE_TENSORRT_RTX": "1" if flavour.module == "tensorrt_rtx" else "0",
    }
    done = subprocess.run(  # noqa: S603 - a module of ours
        command, capture_output=True, text=True, errors="replace", env=environment, check=False
    )
    name = f"{flavour.name} {installed(flavour.package)}"
    if done.returncode != 0:
        return f"{name}, which ended without an answer", (*problems, _crash(name, done))
    reply = json.loads(done.stdout.strip().splitlines()[-1])
    return f"{flavour.name} {reply['version']}", _merged(flavour, problems, reply["errors"])


def _crash(name: str, done: "subprocess.CompletedProcess[str]") -> Problem:
    said = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
    how = f"exit code {done.returncode}"
    if done.returncode < 0:
        how = signal.Signals(-done.returncode).name
    return Problem(
        kind="refused",
        problem=f"the parser of {name} ended with {how}: {said}",
        module="",
        node="",
        operator="",
        advice="onnx.checker.check_model(path) says whether the graph is whole; "
        "if it is, this is a fault of the parser's",
    )


# What the parser gives as its reason for some operators
_SILENT = ("", "false")
# What follows from another node's error
_CONSEQUENCE = "Node input was not registered"


def _merged(
    flavour: Flavour, problems: Sequence[Problem], errors: Sequence[Mapping[str, object]]
) -> tuple[Problem, ...]:
    """The rules' problems with the parser's words, and what only the parser found."""
    if not errors:
        taken = f"; the parser of {flavour.name} takes it"
        return tuple(
            replace(each, kind="note", problem=each.problem + taken)
            if each.settled_by_parser and each.kind == "refused"
            else each
            for each in problems
        )
    found = list(problems)
    own = [error for error in errors if _CONSEQUENCE not in str(error["message"])]
    for error in own or errors:
        node = str(error["node"]) or (f"#{error['index']}" if error["operator"] else "")
        message = str(error["message"])
        places = sorted(
            (
                place
                for place, each in enumerate(found)
                if each.kind != "note" and (each.node == node if node else _names(each, error))
            ),
            key=lambda place: found[place].kind,
        )
        for place in places[:1]:
            if message not in _SILENT:
                found[place] = replace(found[place], parser=message)
        if not places:
            found.append(
                Problem(
                    kind="refused",
                    problem="the parser refuses it",
                    parser=message,
                    module=module_of(node) if node else "",
                    node=node,
                    operator=str(error["operator"]),
                    advice=f"see {flavour.name}'s table of ONNX operators: github.com/onnx/onnx-tensorrt, "
                    "docs/operators.md",
                )
            )
    return tuple(found)


def _names(problem: Problem, error: Mapping[str, object]) -> bool:
    """Whether an error about no node is about the tensor that `problem` is about."""
    stored = str(error["message"]).rpartition("Failed to import initializer: ")[2]
    return problem.node in (stored, error["tensor"])


def _facts(seen: observations.Seen, external: tuple[str, ...]) -> Facts:
    operators: dict[str, Counter[str]] = {}
    for _, node in seen.nodes:
        operators.setdefault(node.domain.removeprefix("ai.onnx"), Counter())[node.op_type] += 1
    stored = {tensor.name for tensor in seen.model.graph.initializer}
    inputs: dict[str, tuple[int | str, ...] | None] = {}
    for value in seen.model.graph.input:
        if value.name not in stored:
            tensor = value.type.tensor_type
            inputs[value.name] = _shape(tensor.shape) if tensor.HasField("shape") else None
    return Facts(
        ir_version=seen.model.ir_version,
        opsets={each.domain: each.version for each in seen.model.opset_import},
        operators={domain: dict(counts.most_common()) for domain, counts in sorted(operators.items())},
        types=dict(Counter(type_name(element) for element in seen.types.values()).most_common()),
        inputs=inputs,
        external=external,
    )


def _shape(shape: onnx.TensorShapeProto) -> tuple[int | str, ...]:
    return tuple(
        size.dim_value if size.HasField("dim_value") else size.dim_param or "?" for size in shape.dim
    )
