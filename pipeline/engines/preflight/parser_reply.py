"""Asks the compiler's own parser about a model, and adds its messages to the problems that the rules found."""

import json
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from distilforge.timing.environment import child_environment

from pipeline.engines.compiler import EngineCompiler
from pipeline.engines.preflight.inspection import Problem
from pipeline.graph.names import module_of
from pipeline.store.versions import installed

# The parser's reasons that say nothing
_SILENT = ("", "false")
# An error that follows from another node's error
_CONSEQUENCE = "Node input was not registered"


@dataclass(frozen=True, slots=True, kw_only=True)
class ParserReply:
    """What the compiler's parser says of a model."""

    parser: str
    """The compiler with its version, if its parser was asked; otherwise why it was not."""
    asked: bool
    """Whether the compiler's parser was asked."""
    problems: tuple[Problem, ...]
    """The problems that the rules found, with what the parser adds."""


def ask(path: Path, compiler: EngineCompiler, problems: tuple[Problem, ...]) -> ParserReply:
    """Ask the compiler's parser, in a process of its own, about a model in which the rules found `problems`."""
    missing = [package for package in (compiler.package, "polygraphy") if installed(package) is None]
    if missing:
        needs = " and ".join(missing)
        return ParserReply(
            parser=f"not asked: {needs} is not installed; pip install {compiler.install}",
            asked=False,
            problems=problems,
        )
    command = (sys.executable, "-m", "pipeline.engines.preflight.parser", compiler.module, str(path))
    # Polygraphy chooses the compiler when it is imported
    environment = child_environment() | {"POLYGRAPHY_USE_TENSORRT_RTX": "1" if compiler.is_rtx else "0"}
    done = subprocess.run(  # noqa: S603 - the arguments are ours
        command, capture_output=True, text=True, errors="replace", env=environment, check=False
    )
    name = f"{compiler.name} {installed(compiler.package)}"
    if done.returncode != 0:
        return ParserReply(
            parser=f"{name}, which ended without a result",
            asked=True,
            problems=(*problems, _crash(name, done)),
        )
    reply = json.loads(done.stdout.strip().splitlines()[-1])
    return ParserReply(
        parser=f"{compiler.name} {reply['version']}",
        asked=True,
        problems=_merged(compiler, problems, reply["errors"]),
    )


def _crash(name: str, done: "subprocess.CompletedProcess[str]") -> Problem:
    last_line = (done.stderr.strip().splitlines() or ["it printed nothing"])[-1]
    ending = f"exit code {done.returncode}"
    if done.returncode < 0:
        ending = signal.Signals(-done.returncode).name
    return Problem(
        kind="refused",
        problem=f"the parser of {name} ended with {ending}: {last_line}",
        module="",
        node="",
        operator="",
        advice="onnx.checker.check_model(path) says whether the graph is valid; "
        "if it is, this is an error in the parser",
    )


def _merged(
    compiler: EngineCompiler, problems: Sequence[Problem], errors: Sequence[Mapping[str, object]]
) -> tuple[Problem, ...]:
    """The rules' problems, with the parser's messages, and the problems that only the parser reports."""
    if not errors:
        accepted = f"; the parser of {compiler.name} accepts it"
        return tuple(
            replace(problem, kind="note", problem=problem.problem + accepted)
            if problem.settled_by_parser and problem.kind == "refused"
            else problem
            for problem in problems
        )
    merged = list(problems)
    own = [error for error in errors if _CONSEQUENCE not in str(error["message"])]
    for error in own or errors:
        node = str(error["node"]) or (f"#{error['index']}" if error["operator"] else "")
        message = str(error["message"])
        places = sorted(
            (
                place
                for place, problem in enumerate(merged)
                if problem.kind != "note" and (problem.node == node if node else _names(problem, error))
            ),
            key=lambda place: merged[place].kind,
        )
        for place in places[:1]:
            if message not in _SILENT:
                merged[place] = replace(merged[place], parser=message)
        if not places:
            merged.append(
                Problem(
                    kind="refused",
                    problem="the parser refuses it",
                    parser=message,
                    module=module_of(node) if node else "",
                    node=node,
                    operator=str(error["operator"]),
                    advice=f"see {compiler.name}'s table of ONNX operators: github.com/onnx/onnx-tensorrt, "
                    "docs/operators.md",
                )
            )
    return tuple(merged)


def _names(problem: Problem, error: Mapping[str, object]) -> bool:
    """Whether an error that names no node is about the tensor of `problem`."""
    initializer = str(error["message"]).rpartition("Failed to import initializer: ")[2]
    return problem.node in (initializer, error["tensor"])
