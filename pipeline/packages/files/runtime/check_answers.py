"""Answer the examples of a package with distilforge, and compare the answers with those that were validated.

Usage: python check_answers.py EXAMPLES.json RELEASE_FOLDER_OR_MODULE

Prints the result as a JSON object. Exits with 1 if an answer is wrong.
"""

import importlib
import json
import math
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, is_dataclass
from pathlib import Path

FP32_TOLERANCE = 1e-3
"""float32 kernels that add in another order differ by about 3e-5; a wrong mask or weight changes answers by more."""
REDUCED_TOLERANCE = 0.05
"""The same engine may choose other kernels on another processor, and round to the next step of 8 bits."""


def main() -> int:
    """Print the result and return the exit code."""
    path, source = sys.argv[1:]
    stored = json.loads(Path(path).read_text(encoding="utf-8"))
    tolerance = FP32_TOLERANCE if stored["variant"].endswith(":fp32") else REDUCED_TOLERANCE
    started = time.perf_counter()
    import distilforge
    import onnxruntime

    session = distilforge.open(source) if Path(source).is_dir() else importlib.import_module(source).open()
    seconds, largest = 0.0, 0.0
    for example in stored["examples"]:
        assert callable(session)
        (answer,) = session([as_input(example["input"])])
        seconds = seconds or time.perf_counter() - started
        error = difference(plain(answer), example["answer"])
        if not error <= tolerance:
            sys.exit(f"{example['input']!r}: {plain(answer)!r:.300} differs from {example['answer']!r:.300}")
        largest = max(largest, error)
    result = {
        "client": f"distilforge with onnxruntime {onnxruntime.__version__}, Python {sys.version.split()[0]}",
        "start_seconds": round(seconds, 3),
        "examples": len(stored["examples"]),
        "largest_error": largest,
    }
    sys.stdout.write(json.dumps(result) + "\n")
    return 0


def as_input(value: object) -> object:
    """The input as a session takes it: JSON has no tuples."""
    return (value[0], value[1]) if isinstance(value, list) else value


def plain(answer: object) -> object:
    """`answer` made of JSON types."""
    if is_dataclass(answer) and not isinstance(answer, type):
        return plain(asdict(answer))
    if isinstance(answer, Mapping):
        return {name: plain(value) for name, value in answer.items()}
    if isinstance(answer, Sequence) and not isinstance(answer, str):
        return [plain(value) for value in answer]
    tolist = getattr(answer, "tolist", None)
    return answer if tolist is None else tolist()


def difference(answer: object, expected: object) -> float:
    """The largest difference between numbers; infinity where anything else differs."""
    if isinstance(expected, dict) and isinstance(answer, dict) and expected.keys() == answer.keys():
        return max((difference(answer[name], expected[name]) for name in expected), default=0.0)
    if isinstance(expected, list) and isinstance(answer, list) and len(expected) == len(answer):
        return max(map(difference, answer, expected), default=0.0)
    if isinstance(expected, float) and isinstance(answer, (int, float)):
        return abs(answer - expected)
    return 0.0 if answer == expected else math.inf


if __name__ == "__main__":
    sys.exit(main())
