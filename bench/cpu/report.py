"""The result of a run on a CPU, from which tables, the plot and the JSON file are made."""

from collections.abc import Mapping
from dataclasses import dataclass

from bench.build_cost import BuilderCosts
from bench.contest.contest import Contest
from bench.contest.limit import Limit
from bench.cpu.operator_profile import OperatorShares


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The contest on a CPU, and what else was measured."""

    contest: Contest
    """Latency against the peers."""
    shares: OperatorShares | None
    """The shares of operators in the time of our INT8 file; None if it could not be made."""
    builds: Mapping[str, BuilderCosts]
    """The costs of builds, by builder."""
    int8_bytes: int | None
    """The size of our INT8 file; None if it could not be made."""
    limits: tuple[Limit, ...]
    """The limits, and whether they are met."""
