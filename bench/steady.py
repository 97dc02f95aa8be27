"""Whether a timing was steady and what was seen of the machine, as Markdown."""

from distilforge.manifest import Steadiness


def markdown(steadiness: Steadiness) -> str:
    """A sentence with the reasons, and a line for each figure that the system told."""
    return f"{verdict(steadiness)}\n\n{_figures(steadiness)}"


def verdict(steadiness: Steadiness) -> str:
    """Whether it was steady, and why not."""
    if steadiness.steady:
        return f"The timing was steady over {steadiness.rounds} rounds."
    return (
        "The timing was not steady, so that nothing can be concluded from times and ratios: "
        f"{'; '.join(steadiness.reasons)}."
    )


def _figures(steadiness: Steadiness) -> str:
    lines = [
        f"rounds: {steadiness.rounds}, of which {len(steadiness.apart)} are left out since the cores were apart",
        f"widest spread of rounds (the middle half, by the median): {steadiness.spread:.0%}",
    ]
    if steadiness.others_cores is not None:
        lines.append(f"cores that other processes took, on average: {steadiness.others_cores:.2f}")
    if steadiness.stolen_cores is not None:
        lines.append(f"cores that the host took away, on average: {steadiness.stolen_cores:.2f}")
    if steadiness.interruptions is not None:
        lines.append(f"interruptions of the subjects a second: {steadiness.interruptions:.0f}")
    if steadiness.megahertz is not None:
        lines.append("clock of the cores: {:.0f} to {:.0f} MHz".format(*steadiness.megahertz))
    if steadiness.round_trip_nanoseconds is not None:
        lines.append(
            "a message from core to core and back: {:.0f} to {:.0f} ns".format(
                *steadiness.round_trip_nanoseconds
            )
        )
    return "\n".join(f"- {line}" for line in lines)
