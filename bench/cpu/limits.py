"""The limits that this project sets itself on a CPU."""

from collections.abc import Mapping

from bench.build_cost import BuilderCosts
from bench.contest.limit import Limit
from bench.contest.ratios import Ratio
from bench.cpu.operator_profile import OperatorShares

EAGER, OPTIMUM, OPENVINO = "PyTorch eager fp32", "Optimum INT8", "OpenVINO INT8"
MEGABYTES = 1e6


def latency_limits(ratios: Mapping[str, tuple[Ratio, ...]]) -> tuple[Limit, ...]:
    """The limits of latency on a CPU; `ratios` are those to each peer, by its title, and to nothing else."""
    return (
        Limit(what="faster than PyTorch eager, mean", observed=_mean(ratios, EAGER), at_least=7.5),
        Limit(what="faster than Optimum INT8, mean", observed=_mean(ratios, OPTIMUM), at_least=1.25),
        Limit(
            what="time over OpenVINO INT8's, mean", observed=_inverse(_mean(ratios, OPENVINO)), at_most=0.9
        ),
        Limit(
            what="time over OpenVINO INT8's, worst shape",
            observed=_inverse(_worst(ratios, OPENVINO)),
            at_most=1.0,
        ),
        Limit(what="faster than every peer, worst shape", observed=_worst_of_all(ratios), at_least=1.0),
    )


def build_limits(
    shares: OperatorShares | None,
    own: BuilderCosts | None,
    optimum: BuilderCosts | None,
    int8_bytes: int | None,
) -> tuple[Limit, ...]:
    """The limits of the INT8 file and of its builds; `own` are the costs of this project's builder."""
    return (
        Limit(
            what="share of 8x128 in matrix products, attention kernels counted",
            observed=100 * (shares.products + shares.attention) if shares else None,
            at_least=80.0,
            unit="%",
        ),
        Limit(
            what="INT8 file",
            observed=int8_bytes / MEGABYTES if int8_bytes is not None else None,
            at_most=70.0,
            unit="MB",
        ),
        Limit(
            what="peak memory of a build",
            observed=own.peak_bytes / MEGABYTES if own else None,
            at_most=1700.0,
            unit="MB",
        ),
        Limit(
            what="time of a build over Optimum's export + O2 + quantize",
            observed=100 * own.seconds / optimum.seconds if own and optimum else None,
            at_most=60.0,
            unit="%",
        ),
    )


def _mean(ratios: Mapping[str, tuple[Ratio, ...]], title: str) -> float | None:
    return next((ratio.value for ratio in ratios.get(title, ()) if ratio.shape is None), None)


def _worst(ratios: Mapping[str, tuple[Ratio, ...]], title: str) -> float | None:
    # The worst of only some shapes would say nothing
    if _mean(ratios, title) is None:
        return None
    return min((ratio.value for ratio in ratios.get(title, ()) if ratio.shape is not None), default=None)


def _worst_of_all(ratios: Mapping[str, tuple[Ratio, ...]]) -> float | None:
    worst = [_worst(ratios, title) for title in ratios]
    # A peer that does not take a shape cannot be compared there, and says nothing
    return min((value for value in worst if value is not None), default=None)


def _inverse(value: float | None) -> float | None:
    return None if value is None else 1 / value
