"""An engine of TensorRT-RTX with its capabilities, a loader, and the exact wheels that it needs."""

import json
from dataclasses import asdict
from pathlib import Path

from pipeline.errors import UsageError
from pipeline.packages import package_kind, release_files, static_files
from pipeline.packages.base import PackageContents, PackageRequest
from pipeline.packages.wheels import runtime

_TENSORRT_RTX = "tensorrt-rtx"
# onnxruntime-ep-nv-tensorrt-rtx 0.5.0 contains TensorRT-RTX 1.7.1
_PROVIDERS = {"1.7.1": "0.5.0"}


@package_kind(
    "rtx",
    help="An engine for GPUs by TensorRT-RTX, or by its provider for ONNX Runtime, with the wheels that it needs.",
    holds=("tensorrt-rtx:*", "onnxruntime-rtx:*"),
)
def write_rtx(request: PackageRequest, folder: Path) -> PackageContents:
    """Write the engine's release, capabilities.json, requirements.txt, and a loader that is the self-test too.

    Raises UsageError for a variant without an engine, and for an engine that no known provider contains.
    """
    engine = request.variant.compiled
    if engine is None:
        raise UsageError(
            f"the variant {request.variant.name!r} does not have a compiled engine",
            hint="choose another one with --variant, or build the release again",
        )
    wheels = _wheels(request.variant.target, engine.version)
    # Its own folder: release/ has what the publisher says about the whole release
    release_files.write_release(request, folder / "engine")
    capabilities = {
        "compiler": f"{engine.flavour} {engine.version}",
        "capabilities": engine.capabilities,
        "profiles": [{axis: asdict(span) for axis, span in profile.items()} for profile in engine.profiles],
        "bytes": engine.bytes,
        "activation_bytes": engine.activation_bytes,
    }
    (folder / "capabilities.json").write_text(json.dumps(capabilities, indent=1) + "\n", encoding="utf-8")
    (folder / "requirements.txt").write_text("\n".join(wheels) + "\n", encoding="utf-8")
    runtime.write(folder)
    static_files.copy("rtx", folder)
    static_files.copy("shared", folder)
    static_files.copy("runtime", folder)
    return PackageContents(
        usage=f"On a machine with an NVIDIA GPU of compute capability {', '.join(engine.capabilities)} "
        f"(the wheel of distilforge {runtime.version()} is in this folder):\n\n```sh\n"
        "pip install --find-links . -r requirements.txt\npython load.py\n```\n\n"
        f'`engine/` is a release with the variant alone: `distilforge.open("engine")({request.example_inputs})`. '
        f"`{request.variant.files[0]}` in it was compiled by {engine.flavour} {engine.version}, and loads in that "
        "version only. `capabilities.json` has the devices, the sizes and the memory.",
        self_test=("python", "load.py"),
        needs=("an NVIDIA GPU", "the wheels in `requirements.txt`"),
        limits=(
            "The engine was compiled without a GPU, and did not run on one when this package was made: it was "
            "validated by the graph that it was compiled from, by ONNX Runtime on the CPU. `load.py` runs it.",
        ),
    )


def _wheels(target: str, version: str) -> tuple[str, ...]:
    """The packages that load an engine of this version of TensorRT-RTX, as pip writes them."""
    own = f"distilforge=={runtime.version()}"
    if target == _TENSORRT_RTX:
        return own, f"tensorrt-rtx=={version}", "cuda-bindings>=12.9"
    provider = _PROVIDERS.get(".".join(version.split(".")[:3]))
    if provider is None:
        raise UsageError(
            f"no version of onnxruntime-ep-nv-tensorrt-rtx is known to contain TensorRT-RTX {version}; known: "
            f"{', '.join(_PROVIDERS)}",
            hint="package the variant of tensorrt-rtx instead, or add the version to pipeline/packages/rtx.py",
        )
    return own, f"onnxruntime-ep-nv-tensorrt-rtx=={provider}"
