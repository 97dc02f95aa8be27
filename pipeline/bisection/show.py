"""A bisection as a table and a few sentences, and its progress messages."""

from collections.abc import Iterator

from pipeline.bisection.result import Bisection, Module
from pipeline.bisection.search import Progress
from pipeline.store.work import ProgressListener

COLUMNS = (
    "module",
    "own error, dB below signal",
    "noise, this alone quantized",
    "flips",
    "noise, this restored",
    "flips",
)
MOST_ROWS = 15
_PARTS = 4


def rows(bisection: Bisection) -> Iterator[tuple[str, ...]]:
    """A row for each of the costliest modules, then one row for the rest."""
    for module in bisection.modules[:MOST_ROWS]:
        yield _row(module)
    rest = bisection.modules[MOST_ROWS:]
    if rest:
        yield (f"and {len(rest)} more", "", f"{sum(module.alone for module in rest):.2e}", "", "", "")


def summary(bisection: Bisection) -> Iterator[str]:
    """The noise of the whole variant, and what to exclude."""
    yield (
        f"{bisection.release}, {bisection.variant}: noise {bisection.noise:.2e} of the outputs' varying energy, "
        f"{bisection.flips} of {bisection.decisions} decisions flipped, over {bisection.examples} texts "
        f"({bisection.tokens} tokens)"
    )
    if bisection.metric is not None and bisection.float_metric is not None:
        yield (
            f"{bisection.metric_name}: {bisection.float_metric:.4f} in float, "
            f"{bisection.metric:.4f} in the variant"
        )
    if bisection.not_compared:
        yield f"counted to the modules after them: {', '.join(bisection.not_compared)}"
    if bisection.exclude:
        yield (
            f"excluding these leaves noise {bisection.excluded_noise:.2e} and {bisection.excluded_flips} flipped; "
            "for the recipe or preset:"
        )
        yield bisection.line
    else:
        yield "the noise is spread over many modules: there is nothing to exclude"


def progress_messages(listener: ProgressListener) -> Progress:
    """Reports to `listener` when a step begins and after each quarter of it."""
    reported: set[tuple[str, int]] = set()

    def report(doing: str, done: int, of: int) -> None:
        part = (doing, _PARTS * done // max(of, 1))
        if part not in reported:
            reported.add(part)
            listener.started("bisect", doing if of < _PARTS else f"{doing}, {done} of {of} runs")

    return report


def _row(module: Module) -> tuple[str, ...]:
    name = module.name if not module.swallowed else f"{module.name} (with {', '.join(module.swallowed)})"
    return (
        name,
        "exact" if module.own_decibels is None else f"{module.own_decibels:.1f}",
        f"{module.alone:.2e}",
        str(module.flips_alone),
        "" if module.restored is None else f"{module.restored:.2e}",
        "" if module.flips_restored is None else str(module.flips_restored),
    )
