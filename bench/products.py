"""Share of our time inside matrix products, by ONNX Runtime's profile: `python -m bench.products FOLDER 2`."""

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

from bench import release_folder
from bench.onnx_session import load
from bench.shapes import feeds

SHAPE = Shape(batch=8, tokens=128)
RUNS, WARM_UPS = 20, 3
PRODUCTS = frozenset(
    "MatMul Gemm MatMulInteger MatMulIntegerToFloat DynamicQuantizeMatMul QLinearMatMul QGemm FusedMatMul "
    "FusedGemm MatMulNBits".split()
)
CONTAINERS = frozenset(("If", "Loop", "Scan"))
# One kernel for both products of attention and the softmax between them
ATTENTION = frozenset("Attention QAttention MultiHeadAttention GroupQueryAttention".split())


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """Parts of the time of all nodes: matrix products alone, attention kernels, and every operator."""

    products: float
    attention: float
    operators: dict[str, float]


def share(seconds: Mapping[str, float]) -> Share:
    """From the time of each operator type."""
    total = sum(seconds.values())
    parts = {name: value / total for name, value in sorted(seconds.items(), key=lambda item: -item[1])}
    return Share(
        products=sum(part for name, part in parts.items() if name in PRODUCTS),
        attention=sum(part for name, part in parts.items() if name in ATTENTION),
        operators=parts,
    )


def profile(folder: Path, threads: int) -> Share:
    """Run our compiled variant in `folder` at 8x128 with ONNX Runtime's profiler on."""
    settings = Settings.of(release_folder.described(folder))
    with tempfile.TemporaryDirectory() as scratch:
        session = load(
            release_folder.model_file(folder), threads, settings, profile=Path(scratch) / "profile"
        )
        ids, mask = feeds(SHAPE)
        for _ in range(WARM_UPS + RUNS):
            session.run(None, {"input_ids": ids, "attention_mask": mask})
        events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    return share(_seconds(events))


def _seconds(events: list[dict[str, object]]) -> dict[str, float]:
    """Of each operator type: the sum of its nodes' medians over the runs, which one disturbed run does not move."""
    times: defaultdict[tuple[str, str], list[float]] = defaultdict(list)
    for event in events:
        arguments, microseconds = event.get("args"), event.get("dur")
        if event.get("cat") == "Node" and isinstance(arguments, dict) and isinstance(microseconds, int):
            operator = str(arguments.get("op_name"))
            # The time of what is inside comes under its own name
            if operator not in CONTAINERS:
                times[operator, str(event.get("name"))].append(microseconds / 1e6)
    assert times
    seconds: defaultdict[str, float] = defaultdict(float)
    for (operator, _), found in times.items():
        seconds[operator] += statistics.median(found)
    return dict(seconds)


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asdict(profile(Path(sys.argv[1]), int(sys.argv[2])))) + "\n")
