"""The share of matrix products in the time of this project's INT8 graph, from the profile of ONNX Runtime.

`python -m bench.cpu.operator_profile FOLDER THREADS` prints it as JSON.
"""

import json
import statistics
import sys
import tempfile
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from distilforge.onnxruntime.settings import Settings
from distilforge.timing.shape import Shape

from bench.models import release_folder
from bench.models.onnx_session import load
from bench.models.shapes import feeds

SHAPE = Shape(batch=8, tokens=128)
RUNS, WARM_UPS = 20, 3
PRODUCTS = frozenset(
    "MatMul Gemm MatMulInteger MatMulIntegerToFloat DynamicQuantizeMatMul QLinearMatMul QGemm FusedMatMul "
    "FusedGemm MatMulNBits".split()
)
# One kernel computes both products of attention and the softmax between them
ATTENTION = frozenset("Attention QAttention MultiHeadAttention GroupQueryAttention".split())
CONTAINERS = frozenset(("If", "Loop", "Scan"))


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorShares:
    """Shares of the time of all nodes."""

    products: float
    """The share of matrix products, attention kernels not included."""
    attention: float
    """The share of attention kernels."""
    operators: dict[str, float]
    """The share of each operator, the largest first."""


def shares(seconds: Mapping[str, float]) -> OperatorShares:
    """The shares, from the time of each operator."""
    total = sum(seconds.values())
    operators = {name: value / total for name, value in sorted(seconds.items(), key=lambda item: -item[1])}
    return OperatorShares(
        products=sum(share for name, share in operators.items() if name in PRODUCTS),
        attention=sum(share for name, share in operators.items() if name in ATTENTION),
        operators=operators,
    )


def profile(folder: Path, threads: int) -> OperatorShares:
    """Run the variant in the prepared folder `folder` at 8x128 with the profiler of ONNX Runtime."""
    settings = Settings.of(release_folder.read_variant(folder))
    with tempfile.TemporaryDirectory() as scratch:
        session = load(
            release_folder.model_file(folder), threads, settings, profile=Path(scratch) / "profile"
        )
        ids, mask = feeds(SHAPE)
        for _ in range(WARM_UPS + RUNS):
            session.run(None, {"input_ids": ids, "attention_mask": mask})
        events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    return shares(operator_seconds(events))


def operator_seconds(events: list[dict[str, object]]) -> dict[str, float]:
    """The seconds of each operator, from the events of a profile.

    It is the sum over the operator's nodes of the median over the runs, because one disturbed run does not change a
    median.
    """
    times: defaultdict[tuple[str, str], list[float]] = defaultdict(list)
    for event in events:
        arguments, microseconds = event.get("args"), event.get("dur")
        if event.get("cat") == "Node" and isinstance(arguments, dict) and isinstance(microseconds, int):
            operator = str(arguments.get("op_name"))
            # The nodes inside a container have events of their own
            if operator not in CONTAINERS:
                times[operator, str(event.get("name"))].append(microseconds / 1e6)
    assert times
    seconds: defaultdict[str, float] = defaultdict(float)
    for (operator, _), of_node in times.items():
        seconds[operator] += statistics.median(of_node)
    return dict(seconds)


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asdict(profile(Path(sys.argv[1]), int(sys.argv[2])))) + "\n")
