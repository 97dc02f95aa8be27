"""Test this package: its configurations by Triton's own schema, its tokenizer, or a server that runs.

Usage: python self_test.py [--url http://localhost:8000]

Exits with 1 if something is wrong, and with 3 if a package is not installed and no --url is given.
"""

import argparse
import importlib.metadata
import importlib.util
import json
import sys
import time
import types
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

import check_files
import numpy as np

ROOT = Path(__file__).parent
PACKAGES = ("tritonclient", "protobuf", "tokenizers")


def main() -> int:
    """Print the result as JSON and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="")
    arguments = parser.parse_args()
    check_files.check(ROOT)
    record = json.loads((ROOT / "package-record.json").read_text(encoding="utf-8"))
    examples = json.loads((ROOT / "examples.json").read_text(encoding="utf-8"))["examples"]
    started = time.perf_counter()
    if arguments.url:
        client, largest = f"the server at {arguments.url}", ask(arguments.url, record["name"], examples)
    elif missing := [name for name in PACKAGES if not is_installed(name)]:
        sys.stderr.write(f"{' and '.join(missing)} must be installed where no --url is given\n")
        return 3
    else:
        client, largest = f"Triton's schema, {parse_configurations()}", 0.0
        check_tokenizer(record["name"], examples)
    result = {
        "client": client,
        "start_seconds": round(time.perf_counter() - started, 3),
        "examples": len(examples),
        "largest_error": largest,
    }
    sys.stdout.write(json.dumps(result) + "\n")
    return 0


def is_installed(package: str) -> bool:
    """Whether pip installed `package`."""
    try:
        importlib.metadata.distribution(package)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def load_schema() -> types.ModuleType:
    """Triton's schema of config.pbtxt, without the package around it, which needs grpc."""
    package = importlib.util.find_spec("tritonclient")
    assert package is not None
    assert package.submodule_search_locations is not None
    path = Path(package.submodule_search_locations[0], "grpc", "model_config_pb2.py")
    specification = importlib.util.spec_from_file_location("model_config_pb2", path)
    assert specification is not None
    assert specification.loader is not None
    schema = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(schema)
    return schema


def parse_configurations() -> str:
    """Parse every configuration, and check that what it names is there; the version of the schema's package."""
    from google.protobuf import text_format  # type: ignore[import-untyped]

    schema = load_schema()
    names = {path.parent.name for path in ROOT.glob("models/*/config.pbtxt")}
    for name in names:
        path = ROOT / "models" / name / "config.pbtxt"
        config = text_format.Parse(path.read_text(encoding="utf-8"), schema.ModelConfig())
        if config.name != name:
            sys.exit(f"{path} has the name {config.name}")
        for step in config.ensemble_scheduling.step:
            if step.model_name not in names:
                sys.exit(f"{path} has a step of {step.model_name}, which is not in the repository")
        if (
            config.default_model_filename
            and not (path.parent / "1" / config.default_model_filename).is_file()
        ):
            sys.exit(f"{path} names {config.default_model_filename}, which is absent")
    return f"tritonclient {importlib.metadata.version('tritonclient')}"


def check_tokenizer(name: str, examples: Sequence[Mapping[str, object]]) -> None:
    """Run the tokenizer's model on the examples' texts, and compare the token ids."""
    # Only the server has this module, and encoding does not use it
    sys.modules["triton_python_backend_utils"] = types.ModuleType("triton_python_backend_utils")
    folder = ROOT / "models" / f"{name}-tokenizer"
    spec = importlib.util.spec_from_file_location("model", folder / "1" / "model.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    model = module.TritonPythonModel()
    model.initialize({"model_repository": str(folder), "model_version": "1"})
    for example in examples:
        arrays = model.encode([texts(example["input"])])
        if {name: array.tolist() for name, array in arrays.items()} != example["feeds"]:
            sys.exit(f"the tokenizer has other token ids for {example['input']!r}")


def texts(value: object) -> list[str]:
    """The texts of a row: one, a pair, or a context and its options."""
    if isinstance(value, str):
        return [value]
    assert isinstance(value, list)
    return [text for part in value for text in texts(part)]


def ask(url: str, model: str, examples: Sequence[Mapping[str, object]]) -> float:
    """Ask the ensemble with the texts; the largest difference from the expected outputs."""
    largest = 0.0
    for example in examples:
        row = texts(example["input"])
        body = {"inputs": [{"name": "text", "shape": [1, len(row)], "datatype": "BYTES", "data": row}]}
        answered = request(f"{url}/v2/models/{quote(model, safe='')}/infer", body)
        expected_outputs = example["outputs"]
        assert isinstance(expected_outputs, dict)
        for name, expected in expected_outputs.items():
            output = answered[name]
            if output["shape"] != expected["shape"]:
                sys.exit(f"{name} has the shape {output['shape']}; {expected['shape']} is expected")
            flat = np.array(output["data"], np.float64)[:: expected["stride"]]
            error = float(np.max(np.abs(flat - np.array(expected["values"])), initial=0.0))
            if not error <= expected["tolerance"]:
                sys.exit(f"{name} differs by {error:g}; at most {expected['tolerance']:g} is allowed")
            largest = max(largest, error)
    return largest


def request(url: str, body: object) -> dict[str, Mapping[str, object]]:
    """The outputs that the server answers, by name."""
    posted = urllib.request.Request(url, data=json.dumps(body).encode())
    try:
        with urllib.request.urlopen(posted, timeout=60) as response:
            return {output["name"]: output for output in json.loads(response.read())["outputs"]}
    except urllib.error.HTTPError as error:
        sys.exit(f"{url} answers {error.code}: {error.read(1000).decode(errors='replace')}")
    except OSError as error:
        sys.exit(f"{url} does not answer: {error}")


if __name__ == "__main__":
    sys.exit(main())
