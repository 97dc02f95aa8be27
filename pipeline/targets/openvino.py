"""OpenVINO on the CPU: the graph itself is the artifact."""

from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.targets import target

if TYPE_CHECKING:
    from pipeline.graph.file import Graph


@target(
    "openvino",
    precisions=("fp32", "bf16", "int8", "int8_bf16", "int8_7bit"),
    domains=frozenset({""}),
    packages=("openvino",),
)
def compile_openvino(graph: "Graph", precision: str, folder: Path) -> tuple[str, ...]:
    """Write `graph` as an ONNX file, and compile it once as a proof that OpenVINO knows every operator in it.

    Raises OpenVINO's own error where it does not.
    """
    from distilforge.openvino import package

    from pipeline.graph.file import save

    file = Path("openvino") / f"model_{precision}.onnx"
    names = save(graph, folder / file)
    # Without the settings of the variant: no machine lacks f32, and the operators are the same
    package.core().compile_model(folder / file, package.DEVICE, {"INFERENCE_PRECISION_HINT": "f32"})
    return tuple((file.parent / name).as_posix() for name in names)
