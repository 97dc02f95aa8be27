"""What targets with engines share: they write a graph of ONNX's own operators, which is compiled afterwards."""

from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.engines.compiler import EngineCompiler
from pipeline.targets import Target, onnx_graph, targets

if TYPE_CHECKING:
    from pipeline.graph.file import Graph

UNPADDED = (
    "Linear layers compute real tokens alone. It was not timed on a device, and a batch without padding takes more "
    "work than in fp16: `distilforge bench RELEASE --texts FILE` times both with your texts."
)
"""What a release says about engines without padding."""


def engine_target(
    compiler: EngineCompiler, *, precisions: tuple[str, ...], plans: str = ""
) -> EngineCompiler:
    """Register the target that `compiler.target` names, and return `compiler`.

    `plans` names the target whose plans this one takes, "" for its own.
    """

    def write_graph(graph: "Graph", precision: str, folder: Path) -> tuple[str, ...]:
        return onnx_graph.write(graph, compiler.graph_file(precision), folder)

    targets.add(
        Target(
            name=compiler.target,
            precisions=precisions,
            domains=frozenset({""}),
            packages=("onnxruntime", compiler.package, "polygraphy"),
            compile=write_graph,
            compiler=compiler,
            device=True,
            plans=plans,
        )
    )
    return compiler
