"""Schemes that write a precision into a graph, one a file. A target's presets say which it uses (pipeline/recipe)."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, wraps
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt
from distilforge.manifest import PassRecord, Verdict

from pipeline.errors import OptionError, UsageError
from pipeline.registry import Registry

if TYPE_CHECKING:
    from pipeline.graph.file import Graph
    from pipeline.recipe.plan import Plan

Feeds = Mapping[str, npt.NDArray[np.int64]]
Batches = Callable[[], Iterable[Feeds]]
"""Returns batches of real inputs; each call starts again at the first batch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationAndEvaluation:
    """Calibration data, and the evaluation data, on which no range is chosen but every bound is proven."""

    calibration: Batches
    """Texts that ranges are measured on."""
    evaluation: Batches
    """Texts that answers are judged on."""

    def __call__(self) -> Iterable[Feeds]:
        """The batches of the calibration data."""
        return self.calibration()


Calibration = Batches | CalibrationAndEvaluation
"""Texts for a scheme: to call it gives the batches of calibration data."""
SchemeFunction: TypeAlias = "Callable[[Graph, Plan, Calibration], TransformResult]"


def evaluation_of(calibration: Calibration) -> Batches | None:
    """The evaluation data that came with the calibration data; None without."""
    return calibration.evaluation if isinstance(calibration, CalibrationAndEvaluation) else None


def lazy_calibration(make: Callable[[], Batches]) -> Batches:
    """The batches that `make` returns; `make` runs at the first call, since not every scheme needs the data."""
    kept = cache(make)
    return lambda: kept()()


@dataclass(frozen=True, slots=True, kw_only=True)
class TransformResult:
    """What was done to a graph."""

    passes: tuple[PassRecord, ...] = ()
    """The rewrites, in their order."""
    verdicts: tuple[Verdict, ...] = ()
    """What was checked on the calibration data."""
    notes: tuple[str, ...] = ()
    """What a user must know before deploying the graph."""

    def then(self, later: "TransformResult") -> "TransformResult":
        """This and what was done after it."""
        return TransformResult(
            passes=self.passes + later.passes,
            verdicts=self.verdicts + later.verdicts,
            notes=self.notes + later.notes,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheme:
    """One way to write a precision into a graph."""

    name: str
    """The name in plans and on the command line."""
    summary: str
    """One line for `distilforge list`."""
    run: SchemeFunction
    """Changes the graph in place."""
    reads_evaluation: bool = False
    """Whether it proves bounds on the evaluation data."""
    by_engine: bool = False
    """Whether the graph stays in fp32, and the engine rounds while it runs because the plan's settings ask for it."""
    refuses: tuple[str, ...] = ()
    """The options of a plan that it does not take."""
    opset: int = 1
    """The first opset of ONNX that has all the operators that it writes."""


schemes: Registry[Scheme] = Registry("scheme", __name__)

INTEGER_OPTIONS = ("weight_bits", "exact_pairs", "quantize_attention", "signed_activations")
"""The options of a plan that only schemes with integers take."""
PRODUCT_OPTIONS = ("calibration", "smoothing")
"""The options of a plan that only schemes with 8-bit products take."""


def scheme(
    name: str,
    *,
    reads_evaluation: bool = False,
    by_engine: bool = False,
    refuses: Sequence[str] = (),
    opset: int = 1,
) -> Callable[[SchemeFunction], SchemeFunction]:
    """Register the decorated function as the scheme `name`; the first line of its docstring is the summary.

    A plan that sets an option in `refuses`, which are fields of Plan, ends in OptionError, and a graph of an older
    opset than `opset` in UsageError. The arguments are fields of `Scheme`.
    """

    def register(run: SchemeFunction) -> SchemeFunction:
        @wraps(run)
        def checked(graph: "Graph", plan: "Plan", calibration: Calibration) -> TransformResult:
            _check_options(name, plan, refuses)
            _check_opset(name, graph, opset)
            return run(graph, plan, calibration)

        summary = (run.__doc__ or "").strip().partition("\n")[0]
        schemes.add(
            Scheme(
                name=name,
                summary=summary,
                run=checked,
                reads_evaluation=reads_evaluation,
                by_engine=by_engine,
                refuses=tuple(refuses),
                opset=opset,
            )
        )
        return run

    return register


def check_plan(plan: "Plan") -> None:
    """Raise OptionError for an option of `plan`, as a file of plans has it, that its scheme does not take."""
    if plan.scheme:
        entry = schemes.find(plan.scheme)
        # The scheme itself cannot refuse it, since what a recipe excludes is in the plan of every variant
        refused = (*entry.refuses, "exclude") if entry.by_engine else entry.refuses
        _check_options(entry.name, plan, refused)


def _check_opset(name: str, graph: "Graph", opset: int) -> None:
    """Raise UsageError where `graph` has an opset that does not have the operators of the scheme `name`."""
    found = graph.opset_imports.get("", opset)
    if found < opset:
        raise UsageError(
            f"the scheme {name} writes operators of ONNX's opset {opset}, and the graph has opset {found}",
            hint=f"export the model again, with opset {opset} or a later one: `distilforge export` does",
        )


def _check_options(name: str, plan: "Plan", refuses: Sequence[str]) -> None:
    """Raise OptionError for an option in `refuses` that `plan` sets."""
    defaults = type(plan)()
    for option in refuses:
        given = getattr(plan, option)
        if given != getattr(defaults, option):
            # A switch has no value on a command line
            found = "" if isinstance(given, bool) else ", found {given!r}"
            raise OptionError(
                f"the scheme {{scheme}} does not take {{{option}}}{found}",
                hint=f"leave {{{option}}} out, or choose a scheme that takes it: `distilforge list schemes`",
                scheme=name,
                given=given,
            )
