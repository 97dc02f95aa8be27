"""The steadiness of a timing, and what the timing engine saw of the machine, as Markdown."""

from distilforge.manifest import Steadiness


def markdown(steadiness: Steadiness) -> str:
    """The verdict, and a line for each figure that the system provides."""
    return f"{verdict(steadiness)}\n\n{_figures(steadiness)}"


def verdict(steadiness: Steadiness) -> str:
    """A sentence that says whether the timing was steady, and why not."""
    if steadiness.steady:
        return f"The timing was steady over {steadiness.rounds} rounds."
    return (
        "The timing was not steady, so its times and ratios do not show anything: "
        f"{'; '.join(steadiness.reasons)}."
    )


def _figures(steadiness: Steadiness) -> str:
    lines = [
        f"rounds: {steadiness.rounds}; {len(steadiness.apart)} of them are left out because the cores were apart",
        f"widest spread of rounds (interquartile range / median): {steadiness.spread:.0%}",
    ]
    if steadiness.others_cores is not None:
        lines.append(f"cores that other processes used, on average: {steadiness.others_cores:.2f}")
    if steadiness.stolen_cores is not None:
        lines.append(f"cores that the host took away, on average: {steadiness.stolen_cores:.2f}")
    if steadiness.interruptions is not None:
        lines.append(f"interruptions of the subjects per second: {steadiness.interruptions:.0f}")
    if steadiness.megahertz is not None:
        lines.append("clock of the cores: {:.0f} to {:.0f} MHz".format(*steadiness.megahertz))
    if steadiness.round_trip_nanoseconds is not None:
        lines.append(
            "round trip of a message between two cores: {:.0f} to {:.0f} ns".format(
                *steadiness.round_trip_nanoseconds
            )
        )
    return "\n".join(f"- {line}" for line in lines)
