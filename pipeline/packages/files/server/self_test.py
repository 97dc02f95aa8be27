"""Test this package: its files, and its answers by an engine or by a server that runs.

Usage: python self_test.py [--engine openvino|onnxruntime] [--url http://localhost:8000]

Without --url, the model is loaded here by the engine's package. With --url, a server with the Open Inference Protocol
(version 2) is asked. Exits with 1 if an answer is wrong, and with 3 if the engine is not installed.
"""

import argparse
import json
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TypedDict
from urllib.parse import quote

import check_files
import numpy as np

ROOT = Path(__file__).parent


class Output(TypedDict):
    """One output in a server's answer."""

    name: str
    """Its name in the graph."""
    shape: list[int]
    """Its shape."""
    data: list[float]
    """Its values, flattened."""


class Response(TypedDict):
    """What a server answers."""

    outputs: list[Output]
    """The outputs of the graph."""


Arrays = Mapping[str, np.ndarray[tuple[int, ...], np.dtype[np.generic]]]


def main() -> int:
    """Print the result as JSON and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", choices=("openvino", "onnxruntime"), default="openvino")
    parser.add_argument("--url", default="")
    arguments = parser.parse_args()
    check_files.check(ROOT)
    record = json.loads((ROOT / "package-record.json").read_text(encoding="utf-8"))
    if not arguments.url and find_spec(arguments.engine) is None:
        sys.stderr.write(f"the package {arguments.engine} is not installed, and no --url was given\n")
        return 3
    started = time.perf_counter()
    if arguments.url:
        client, answer = server(arguments.url, record["name"])
    else:
        client, answer = openvino_model() if arguments.engine == "openvino" else onnxruntime_model()
    examples = json.loads((ROOT / "examples.json").read_text(encoding="utf-8"))["examples"]
    seconds, largest = 0.0, 0.0
    for example in examples:
        outputs = answer({name: np.array(rows, np.int64) for name, rows in example["feeds"].items()})
        seconds = seconds or time.perf_counter() - started
        for name, expected in example["outputs"].items():
            error = difference(outputs[name], expected)
            if not error <= expected["tolerance"]:
                sys.exit(f"{name} differs by {error:g}; at most {expected['tolerance']:g} is allowed")
            largest = max(largest, error)
    result = {
        "client": client,
        "start_seconds": round(seconds, 3),
        "examples": len(examples),
        "largest_error": largest,
    }
    sys.stdout.write(json.dumps(result) + "\n")
    return 0


def openvino_model() -> tuple[str, Callable[[Arrays], Arrays]]:
    """OpenVINO's version, and a function that runs the model."""
    import openvino

    (path,) = ROOT.glob("models/*/1/model.onnx")
    core = openvino.Core()
    (entry,) = json.loads((ROOT / "config.json").read_text(encoding="utf-8"))["model_config_list"]
    compiled = core.compile_model(path, "CPU", entry["config"]["plugin_config"])

    def answer(feeds: Arrays) -> Arrays:
        results = compiled(dict(feeds))
        # A tensor may have several names
        return {name: results[output] for output in compiled.outputs for name in output.get_names()}

    return f"openvino {openvino.__version__.partition('-')[0]}", answer


def onnxruntime_model() -> tuple[str, Callable[[Arrays], Arrays]]:
    """ONNX Runtime's version, and a function that runs the model."""
    import onnxruntime

    (path,) = ROOT.glob("models/*/1/model.onnx")
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]

    def answer(feeds: Arrays) -> Arrays:
        return dict(zip(names, session.run(names, dict(feeds)), strict=True))

    return f"onnxruntime {onnxruntime.__version__}", answer


def server(url: str, model: str) -> tuple[str, Callable[[Arrays], Arrays]]:
    """The server's name, and a function that asks it."""

    def answer(feeds: Arrays) -> Arrays:
        inputs = [
            {
                "name": name,
                "shape": list(array.shape),
                "datatype": "INT64",
                "data": array.reshape(-1).tolist(),
            }
            for name, array in feeds.items()
        ]
        response = request(f"{url}/v2/models/{quote(model, safe='')}/infer", {"inputs": inputs})
        return {
            output["name"]: np.array(output["data"], np.float32).reshape(output["shape"])
            for output in response["outputs"]
        }

    return f"the server at {url}", answer


def request(url: str, body: object) -> Response:
    """The JSON object that the server answers."""
    posted = urllib.request.Request(
        url, data=json.dumps(body).encode(), headers={"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(posted, timeout=60) as response:
            values: Response = json.loads(response.read())
    except urllib.error.HTTPError as error:
        sys.exit(f"{url} answers {error.code}: {error.read(1000).decode(errors='replace')}")
    except OSError as error:
        sys.exit(f"{url} does not answer: {error}")
    return values


def difference(
    output: np.ndarray[tuple[int, ...], np.dtype[np.generic]], expected: Mapping[str, object]
) -> float:
    """The largest difference from the expected values; infinity for another shape."""
    if list(output.shape) != expected["shape"]:
        return float("inf")
    flat = output.astype(np.float64).reshape(-1)[:: int(str(expected["stride"]))]
    return float(np.max(np.abs(flat - np.array(expected["values"], np.float64)), initial=0.0))


if __name__ == "__main__":
    sys.exit(main())
