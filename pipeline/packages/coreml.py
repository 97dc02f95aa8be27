"""A Core ML model for apps on iOS and macOS."""

import io
import json
import subprocess
import sys
from contextlib import redirect_stderr
from pathlib import Path

from distilforge.manifest import Manifest

from pipeline.errors import MissingError, StageError, UsageError
from pipeline.graph import file as graphs
from pipeline.packages import package_kind, release_files, static_files
from pipeline.packages.base import PackageContents, PackageRequest

MODEL = "model/model.mlpackage"
"""The Core ML model, a folder."""
PRECISION = "model/precision.json"
"""What it computes in, and how far its outputs may be from the validated ones."""
_PRECISIONS = ("fp32", "fp16")
_SHARES = {"fp32": 0.0, "fp16": 0.02}
"""How far outputs in fp16 may be from those in fp32, of their spread: 3 digits are left after twelve sums."""
_SECONDS = 600


@package_kind(
    "coreml",
    help="A Core ML model for apps on iOS and macOS.",
    holds=("onnxruntime-cpu:fp32",),
    options=("precision",),
)
def write_coreml(request: PackageRequest, folder: Path) -> PackageContents:
    """Write the variant's graph as a Core ML model, and evaluate it on the examples.

    Raises MissingError if coremltools is not installed, StageError if the graph cannot be written or the model answers
    otherwise, and UsageError if the precision is not one of fp32 and fp16.
    """
    given = request.options.precision
    precision = _PRECISIONS[0] if given is None else given
    if precision not in _PRECISIONS:
        raise UsageError(
            f"--precision {precision!r:.100} is not one of {', '.join(_PRECISIONS)}",
            hint="fp16 halves the model, and the Neural Engine computes only in fp16",
        )
    _write_model(request, folder, precision)
    release_files.copy_tokenizer(request, folder / "model")
    static_files.copy("coreml", folder)
    static_files.copy("shared", folder)
    _check_answers(folder)
    return PackageContents(
        usage=_usage(request),
        self_test=("python", "self_test.py"),
        needs=("Python with `coremltools` and `numpy`",),
        limits=(
            "The model takes token ids, not text: tokenize with `model/tokenizer.json`, for example with "
            "swift-transformers.",
            "The model file was read again, and the operators in it were evaluated in numpy as coremltools defines "
            "them. Core ML itself was not run, since it is a part of Apple's systems; on a Mac, the self-test runs it.",
            *_limits_of_half(request, precision),
        ),
    )


def _limits_of_half(request: PackageRequest, precision: str) -> tuple[str, ...]:
    if precision == "fp32":
        return (
            "Core ML computes fp32 on the CPU and the GPU. The Neural Engine computes fp16: package with "
            "`--precision fp16` for it.",
        )
    usual = request.manifest.spans["sequence"].usual
    return (
        "The variant was validated in fp32. This model computes in fp16, which was compared with it on the examples "
        f"alone, up to {_SHARES[precision]:.0%} of the spread of each output. A text that is masked throughout gets "
        "other numbers.",
        f"Of a range of lengths, the Neural Engine may take only the default, {usual} tokens: pad texts to it, with a "
        "mask of 0.",
    )


def _write_model(request: PackageRequest, folder: Path, precision: str) -> None:
    manifest = request.manifest
    # An app asks for one text at a time
    axes = {name: span for name, span in manifest.spans.items() if name != "batch"}
    # coremltools says what it cannot do without a Mac, and draws bars that last a second
    with redirect_stderr(io.StringIO()):
        try:
            from pipeline.packages.mil import saving, translation
        except ImportError as cause:
            raise MissingError(
                f"a package of the kind coreml needs coremltools: {cause}",
                hint="pip install 'distilforge-pipeline[coreml]'",
            ) from cause
        model = translation.translate(graphs.load(request.graph), axes, batch=1, half=precision == "fp16")
    model.short_description = f"{manifest.name} {manifest.version}: DistilBERT, {manifest.head}"
    model.version = manifest.version
    if _has_labels(manifest):
        model.user_defined_metadata["labels"] = json.dumps(manifest.labels, ensure_ascii=False)
    (folder / MODEL).parent.mkdir(parents=True)
    saving.save(model, folder / MODEL)
    record = {"precision": precision, "share_of_spread": _SHARES[precision]}
    (folder / PRECISION).write_text(json.dumps(record) + "\n", encoding="utf-8")


def _check_answers(folder: Path) -> None:
    """Raise StageError if the model in `folder` does not answer the examples as the variant does."""
    # What the package's record lists is not complete yet
    command = (sys.executable, "-c", "import sys, self_test; sys.exit(self_test.answers())")
    try:
        # The script was written a moment ago
        done = subprocess.run(  # noqa: S603
            command, cwd=folder, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as cause:
        raise StageError(
            "package",
            f"the Core ML model was not evaluated within {_SECONDS} seconds",
            hint="the machine is busy, or the model is larger than a DistilBERT",
        ) from cause
    if done.returncode:
        raise StageError(
            "package",
            f"the Core ML model does not answer as the variant does: {done.stderr.strip()[-500:]}",
            hint="report this graph: its translation changes the answers",
        )


def _usage(request: PackageRequest) -> str:
    spans = request.manifest.spans
    tokens = f"{spans['sequence'].low} to {spans['sequence'].high} tokens"
    shape = f"(1, tokens), for one text of {tokens}"
    example = "[1, 8]"
    if "choices" in spans:
        shape = (
            f"(1, choices, tokens), for {spans['choices'].low} to {spans['choices'].high} choices of {tokens}"
        )
        example = "[1, 2, 8]"
    names = [output.name for output in request.manifest.outputs]
    reading = "\n".join(
        f'let {_swift(name)} = outputs.featureValue(for: "{name}")!.multiArrayValue!' for name in names
    )
    return f"""\
Drag `{MODEL}` into an Xcode project, which compiles it into the app. Its inputs `input_ids` and `attention_mask` are
Int32 of the shape {shape}. Its outputs are those of the ONNX graph: {", ".join(f"`{name}`" for name in names)}.

```swift
let model = try MLModel(contentsOf: Bundle.main.url(forResource: "model", withExtension: "mlmodelc")!)
let ids = try MLMultiArray(shape: {example}, dataType: .int32)     // fill in the token ids
let mask = try MLMultiArray(shape: {example}, dataType: .int32)    // 1 for each token, 0 for padding
let inputs = try MLDictionaryFeatureProvider(dictionary: ["input_ids": ids, "attention_mask": mask])
let outputs = try model.prediction(from: inputs)
{reading}
```

It needs iOS 16 or macOS 13.{_labels(request)}"""


def _labels(request: PackageRequest) -> str:
    manifest = request.manifest
    if not _has_labels(manifest):
        return ""
    return f" The last axis of `{manifest.outputs[0].name}` has the labels in the model's metadata, in their order."


def _has_labels(manifest: Manifest) -> bool:
    """Whether the labels are those of the numbers that the model answers: any head's config.json may have some."""
    return bool(manifest.labels) and manifest.outputs[0].shape[-1] == len(manifest.labels)


def _swift(name: str) -> str:
    """A name of the graph as Swift writes names."""
    first, *others = name.split("_")
    return first + "".join(part.capitalize() for part in others)
