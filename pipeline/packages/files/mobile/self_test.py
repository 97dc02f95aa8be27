"""Runs the model in ORT format, and compares with the answers that were validated.

Exits with 0 if the answers are right, with 1 if one is wrong, and with 3 if onnxruntime is not installed, or if the
variant needs a setting to be exact on this processor, as some do on x86 without VNNI.
"""

import json
import platform
import sys
import time
from pathlib import Path

import check_files

ROOT = Path(__file__).parent
PROCESSOR = Path("/proc/cpuinfo")


def main() -> int:
    """Print the result as JSON on the last line, and return the exit code."""
    check_files.check(ROOT)
    begin = time.perf_counter()
    try:
        import numpy as np
        import onnxruntime
    except ImportError as missing:
        sys.stderr.write(f"{missing}: pip install onnxruntime numpy\n")
        return 3
    if settings() and saturates():
        sys.stderr.write(
            "this x86 processor has no VNNI, and saturates 8-bit products: test on another processor\n"
        )
        return 3
    session = onnxruntime.InferenceSession(ROOT / "model" / "model.ort", providers=["CPUExecutionProvider"])
    examples = json.loads((ROOT / "examples.json").read_text(encoding="utf-8"))["examples"]
    names = [output.name for output in session.get_outputs()]
    seconds = largest = 0.0
    for example in examples:
        feeds = {name: np.array(rows, np.int64) for name, rows in example["feeds"].items()}
        outputs = dict(zip(names, session.run(None, feeds), strict=True))
        seconds = seconds or time.perf_counter() - begin
        for name, expected in example["outputs"].items():
            if list(outputs[name].shape) != expected["shape"]:
                sys.exit(f"{name} has the shape {outputs[name].shape}, not {expected['shape']}")
            values = outputs[name].reshape(-1)[:: expected["stride"]]
            error = float(np.abs(values - np.array(expected["values"])).max())
            if not error <= expected["tolerance"]:
                sys.exit(f"{name} differs by {error:g}; at most {expected['tolerance']:g} is allowed")
            largest = max(largest, error)
    result = {
        "client": f"onnxruntime {onnxruntime.__version__}",
        "start_seconds": round(seconds, 3),
        "examples": len(examples),
        "largest_error": largest,
    }
    sys.stdout.write(json.dumps(result) + "\n")
    return 0


def settings() -> dict[str, str]:
    """The engine's settings that the variant was validated with; none can be set on a model in ORT format."""
    name = json.loads((ROOT / "package-record.json").read_text(encoding="utf-8"))["variant"]
    manifest = json.loads((ROOT / "release" / "manifest.json").read_text(encoding="utf-8"))
    return next(
        variant["session"]
        for variant in manifest["variants"]
        if f"{variant['target']}:{variant['precision']}" == name
    )


def saturates() -> bool:
    """Whether this is a processor that is known to saturate; only Linux tells."""
    if platform.machine().lower() not in ("x86_64", "amd64") or not PROCESSOR.is_file():
        return False
    return "vnni" not in PROCESSOR.read_text(encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
