"""What a run found, as one object that tables, the plot and the JSON file are made from."""

from collections.abc import Mapping
from dataclasses import dataclass

from bench.build_cost import Builds
from bench.contest import Contest
from bench.prepared import Absent
from bench.products import Share
from bench.ratios import Ratio, Wanted
from bench.rounds import Rounds


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Conditions by name; samples; ratios by opponent; builds by builder; operations a second of the ceiling.

    `ours` is the contestant that is judged, None where it could not be made; `int8_bytes` the size of its file. Ratios
    and limits are of the rounds in which the cores were near each other.
    """

    conditions: Mapping[str, str]
    settings: Mapping[str, str]
    contest: Contest
    rounds: Rounds
    differences: Mapping[str, float]
    absent: tuple[Absent, ...]
    ours: str | None
    against: Mapping[str, tuple[Ratio, ...]]
    ceiling: float
    share: Share | None
    builds: Mapping[str, Builds]
    int8_bytes: int | None
    wanted: tuple[Wanted, ...]
