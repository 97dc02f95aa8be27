"""A bisection as a table, a few sentences, and talk while it runs."""

from collections.abc import Iterator

from pipeline.bisection.bisect import Bisection, Module, Progress
from pipeline.store.work import Talk

COLUMNS = (
    "module",
    "own error, dB below signal",
    "noise, this alone quantized",
    "flips",
    "noise, this restored",
    "flips",
)
SHOWN = 15
_PARTS = 4


def rows(found: Bisection) -> Iterator[tuple[str, ...]]:
    """The costliest modules, a row each, then the rest in one."""
    for module in found.modules[:SHOWN]:
        yield _row(module)
    rest = found.modules[SHOWN:]
    if rest:
        yield (f"and {len(rest)} more", "", f"{sum(module.alone for module in rest):.2e}", "", "", "")


def summary(found: Bisection) -> Iterator[str]:
    """What the whole variant loses, and what to exclude."""
    yield (
        f"{found.release}, {found.variant}: noise {found.noise:.2e} of the outputs' energy, {found.flips} of "
        f"{found.decisions} decisions flipped, over {found.examples} texts ({found.tokens} tokens)"
    )
    if found.metric is not None and found.float_metric is not None:
        yield f"{found.metric_name}: {found.float_metric:.4f} in float, {found.metric:.4f} in the variant"
    if found.not_compared:
        yield f"counted to the modules after them: {', '.join(found.not_compared)}"
    if found.exclude:
        yield (
            f"excluding these leaves noise {found.excluded_noise:.2e} and {found.excluded_flips} flipped; "
            "for the recipe or preset:"
        )
        yield found.line
    else:
        yield "no few modules make up half of the noise: nothing to exclude"


def telling(talk: Talk) -> Progress:
    """Progress that says when something new begins, and every quarter of it."""
    told: set[tuple[str, int]] = set()

    def tell(doing: str, done: int, of: int) -> None:
        part = (doing, _PARTS * done // max(of, 1))
        if part not in told:
            told.add(part)
            talk.started("bisect", doing if of < _PARTS else f"{doing}, {done} of {of} runs")

    return tell


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
