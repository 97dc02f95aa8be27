"""A model in ORT format for phones and small devices, and what a reduced build of ONNX Runtime must contain."""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnxruntime
from distilforge.engine import Array
from distilforge.onnxruntime.engine import SILENT

from pipeline.errors import StageError
from pipeline.packages import package_kind, release_files, static_files
from pipeline.packages.base import PackageContents, PackageRequest

MODEL = "model/model.ort"
"""The model in ORT format."""
OPERATORS = "required_operators_and_types.config"
"""The operators and types that the model uses, for ONNX Runtime's build script."""
_SECONDS = 600


@package_kind(
    "mobile",
    help="A model in ORT format for Android, iOS and small devices, with the configuration of a reduced build.",
    # A quarter of the download
    holds=("onnxruntime-cpu:int8", "onnxruntime-cpu:fp32"),
)
def write_mobile(request: PackageRequest, folder: Path) -> PackageContents:
    """Convert the variant's graph; StageError if it cannot be converted or does not answer bit for bit the same."""
    _convert(request.graph, folder)
    _check_equal(request.graph, folder / MODEL, _examples(folder))
    release_files.copy_tokenizer(request, folder / "model")
    static_files.copy("mobile", folder)
    static_files.copy("shared", folder)
    return PackageContents(
        usage=_usage(),
        self_test=("python", "self_test.py"),
        needs=("Python with `onnxruntime` and `numpy`",),
        limits=(
            "The model takes token ids, not text: tokenize with `model/tokenizer.json`, for example with "
            "swift-transformers, or with any WordPiece tokenizer.",
            "The answers were compared bit for bit with those of the ONNX graph, in ONNX Runtime on the building "
            "machine. No phone, no simulator and no reduced build was run.",
            *_limits_of_int8(request),
            "On iOS, ONNX Runtime's Core ML provider can run parts of this model; `--for coreml` makes a model that "
            "Core ML runs without ONNX Runtime.",
        ),
    )


def _limits_of_int8(request: PackageRequest) -> tuple[str, ...]:
    if not request.variant.session:
        return ()
    return (
        "An x86 processor without VNNI may saturate sums of 8-bit products, since a graph in ORT format cannot be "
        "changed for it when it is loaded. ARM processors do not have this limit.",
    )


def _convert(graph: Path, folder: Path) -> None:
    """Write the ORT format and the operators of `graph` into `folder`."""
    with tempfile.TemporaryDirectory() as temporary:
        command = (
            *(sys.executable, "-m", "onnxruntime.tools.convert_onnx_models_to_ort", str(graph)),
            *("--output_dir", temporary, "--optimization_style", "Fixed", "--target_platform", "arm"),
            "--enable_type_reduction",
        )
        # Without telemetry, onnxruntime does not write into the home folder
        variables = {**os.environ, "ORT_DISABLE_TELEMETRY": "1"}
        # The converter prints on stdout, which belongs to the command's result; the graph's digest was verified
        done = subprocess.run(  # noqa: S603
            command, capture_output=True, text=True, timeout=_SECONDS, env=variables, check=False
        )
        if done.returncode:
            raise StageError(
                "package",
                f"onnxruntime {onnxruntime.__version__} did not convert {graph.name} to ORT format: "
                f"{done.stderr.strip()[-500:]}",
                hint="the graph may use an operator that only a later onnxruntime knows",
            )
        (model,) = Path(temporary).glob("*.ort")
        (operators,) = Path(temporary).glob("*.config")
        (folder / MODEL).parent.mkdir(parents=True)
        model.replace(folder / MODEL)
        # A comment names the file as it was on this machine
        text = re.sub(r"(?m)^# - .*$", f"# - {MODEL}", operators.read_text(encoding="utf-8"))
        (folder / OPERATORS).write_text(text, encoding="utf-8")


def _examples(folder: Path) -> list[Mapping[str, Array]]:
    """The token ids and masks of the package's examples."""
    examples = json.loads((folder / "examples.json").read_text(encoding="utf-8"))["examples"]
    return [
        {name: np.array(rows, np.int64) for name, rows in example["feeds"].items()} for example in examples
    ]


def _check_equal(graph: Path, model: Path, examples: list[Mapping[str, Array]]) -> None:
    """Raise StageError if the model in ORT format does not answer bit for bit as the ONNX graph does."""
    expected, observed = _session(graph), _session(model)
    names = [output.name for output in expected.get_outputs()]
    for feeds in examples:
        for name, one, other in zip(
            names, expected.run(names, feeds), observed.run(names, feeds), strict=True
        ):
            if one.tobytes() != other.tobytes():
                raise StageError(
                    "package",
                    f"{name} of the model in ORT format differs from that of {graph.name} by up to "
                    f"{float(np.abs(one - other).max()):g}; they must be equal bit for bit",
                    hint="report this graph: the converter of onnxruntime changes its answers",
                )


def _session(path: Path) -> onnxruntime.InferenceSession:
    """A session on one thread, so that sums have one order.

    It does not have the variant's settings: they would change the ONNX graph when it is loaded, and a model in ORT
    format is not changed then.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = SILENT
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def _usage() -> str:
    return f"""\
Put `{MODEL}` among the assets of the app, and load it with `com.microsoft.onnxruntime:onnxruntime-android` or the
Swift package `onnxruntime-swift-package-manager`:

```kotlin
val environment = OrtEnvironment.getEnvironment()
val session = environment.createSession(assets.open("model.ort").readBytes())
val answer = session.run(mapOf("input_ids" to ids, "attention_mask" to mask))   // OnnxTensor of int64
```

A build of ONNX Runtime with these operators only, from its sources:

```sh
./build.sh --config MinSizeRel --android --android_abi arm64-v8a --minimal_build \\
  --include_ops_by_config {OPERATORS} --enable_reduced_operator_type_support
```"""
