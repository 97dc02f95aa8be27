"""Runs the Core ML model, and compares with the answers that were validated.

On a Mac, Core ML runs it. Elsewhere, Core ML cannot be had: the model's file is read, and coremltools' own definitions
of its operators compute the answers in numpy.

Exits with 0 if the answers are right, with 1 if one is wrong, and with 3 if coremltools is not installed.
"""

import json
import logging
import platform
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import check_files

Run = Callable[[Mapping[str, Any]], Mapping[str, Any]]

ROOT = Path(__file__).parent
MODEL = ROOT / "model" / "model.mlpackage"
PADDING = 8


def main() -> int:
    """Check the files and the answers, and return the exit code."""
    check_files.check(ROOT)
    return answers()


def answers() -> int:
    """Print the result as JSON on the last line, and return the exit code."""
    begin = time.perf_counter()
    try:
        # It says that it cannot run models, and which version of torch it does not know
        logging.disable(logging.WARNING)
        import coremltools
        import numpy as np
    except ImportError as missing:
        sys.stderr.write(f"{missing}: pip install coremltools numpy\n")
        return 3
    run = run_in_core_ml if platform.system() == "Darwin" else evaluate
    try:
        answer = run(MODEL)
    # coremltools has no error of its own for a damaged file
    except Exception as cause:  # noqa: BLE001
        sys.exit(f"{MODEL} cannot be read: {cause}; take the package again")
    examples = json.loads((ROOT / "examples.json").read_text(encoding="utf-8"))["examples"]
    share = json.loads((ROOT / "model" / "precision.json").read_text(encoding="utf-8"))["share_of_spread"]
    seconds = largest = 0.0
    if not examples:
        sys.exit("examples.json holds no example")
    for example in examples:
        feeds = {name: np.array(rows, np.int32) for name, rows in example["feeds"].items()}
        outputs = answer(feeds)
        seconds = seconds or time.perf_counter() - begin
        # Padding must not change what stands at the tokens
        padded = answer({name: pad(rows) for name, rows in feeds.items()})
        for name, expected in example["outputs"].items():
            if list(outputs[name].shape) != expected["shape"]:
                sys.exit(f"{name} has the shape {outputs[name].shape}, not {expected['shape']}")
            values = np.array(expected["values"])
            tolerance = max(expected["tolerance"], share * float(np.ptp(values)))
            at_tokens = padded[name][tuple(map(slice, expected["shape"]))]
            for what, output in ((name, outputs[name]), (f"{name} of the padded text", at_tokens)):
                error = float(np.abs(output.reshape(-1)[:: expected["stride"]] - values).max())
                if not error <= tolerance:
                    sys.exit(f"{what} differs by {error:g}; at most {tolerance:g} is allowed")
                largest = max(largest, error)
    by = "Core ML" if run is run_in_core_ml else "the model file, evaluated in numpy"
    result = {
        "client": f"{by}, coremltools {coremltools.__version__}",
        "start_seconds": round(seconds, 3),
        "examples": len(examples),
        "largest_error": largest,
    }
    sys.stdout.write(json.dumps(result) + "\n")
    return 0


def pad(rows: Any) -> Any:
    """Token ids or a mask with zeros behind them."""
    import numpy as np

    return np.pad(rows, [(0, 0)] * (rows.ndim - 1) + [(0, PADDING)])


def run_in_core_ml(model: Path) -> Run:
    """A function from inputs to outputs, which Core ML computes."""
    from coremltools.models import MLModel

    run: Run = MLModel(str(model)).predict
    return run


def evaluate(model: Path) -> Run:
    """A function from inputs to outputs: each operator of the file, computed as coremltools defines it."""
    from coremltools.converters.mil.frontend.milproto import load
    from coremltools.models.utils import load_spec

    specification = load_spec(str(model))
    weights = model / "Data" / "com.apple.CoreML" / "weights"
    program = load.load(specification, specification.specificationVersion, str(weights))
    main_function = program.functions["main"]

    def answer(feeds: Mapping[str, Any]) -> Mapping[str, Any]:
        values: dict[str, Any] = dict(feeds)
        for operation in main_function.operations:
            (output,) = operation.outputs
            values[output.name] = compute(operation, values, main_function.opset_version)
        return {output.name: values[output.name] for output in main_function.outputs}

    return answer


def compute(operation: Any, values: Mapping[str, Any], version: object) -> Any:
    """The output of one operator, from the `values` of all that were computed before it."""
    import numpy as np

    if operation.op_type == "const":
        constant = operation.outputs[0].val
        # numpy's sums take Python's booleans only
        return bool(constant) if isinstance(constant, np.bool_) else constant
    from coremltools.converters.mil import Builder
    from coremltools.converters.mil.mil import Function

    def value(variable: Any) -> Any:
        if isinstance(variable, (list, tuple)):
            return [value(each) for each in variable]
        return values[variable.name]

    arguments = {name: value(each) for name, each in operation.inputs.items() if each is not None}
    # With constants as inputs, the builder computes the output
    with Function({}, opset_version=version):
        result = getattr(Builder, operation.op_type)(**arguments).val
    if result is None:
        sys.exit(f"coremltools does not say how to compute {operation.op_type}")
    return result


if __name__ == "__main__":
    sys.exit(main())
