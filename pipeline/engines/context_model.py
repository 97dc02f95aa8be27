"""An ONNX model with one EPContext node, with which a provider of ONNX Runtime runs an engine without compiling.

The node's attributes are those of ONNX Runtime's operator com.microsoft.EPContext. docs/decisions/0013 says which of
them the providers read, and why the engine stays a file of its own.
"""

from pathlib import Path

import onnx
from distilforge.manifest import CompiledEngine
from onnx import helper

from pipeline.store import digests

_DOMAIN = "com.microsoft"
_OPERATOR = "EPContext"
_DOMAIN_VERSION = 1
_FILE_BESIDE = 0
_HAS_CONTEXT = 1
# Enough digits that no two engines on a machine have the same name
_DIGITS = 16


def write(graph: Path, engine: Path, compiled: CompiledEngine, provider: str, output: Path) -> None:
    """Write the model `output`, beside the file `engine`, with the inputs and outputs of the ONNX file `graph`.

    `compiled` is the manifest's entry for the engine, and `provider` the ONNX Runtime provider that is to run it.
    """
    assert output.parent == engine.parent, "providers do not open an engine outside the model's folder"
    source = onnx.load(graph, load_external_data=False)
    inputs, outputs = source.graph.input, source.graph.output
    # Providers give this name to the kernels that they keep between processes
    name = f"engine_{digests.of_file(engine)[:_DIGITS]}"
    attributes: dict[str, int | str] = {
        "main_context": _HAS_CONTEXT,
        "embed_mode": _FILE_BESIDE,
        "ep_cache_context": engine.name,
        "source": provider,
        "ep_sdk_version": compiled.version,
        "partition_name": name,
        "onnx_model_filename": graph.name,
    }
    if architecture := _architecture(compiled.capabilities):
        attributes["hardware_architecture"] = architecture
    node = helper.make_node(
        _OPERATOR,
        [value.name for value in inputs],
        [value.name for value in outputs],
        name=name,
        domain=_DOMAIN,
    )
    node.attribute.extend(helper.make_attribute(key, value) for key, value in attributes.items())
    model = helper.make_model(
        helper.make_graph([node], source.graph.name or name, inputs, outputs),
        ir_version=source.ir_version,
        opset_imports=[
            *(opset for opset in source.opset_import if opset.domain in ("", "ai.onnx")),
            helper.make_opsetid(_DOMAIN, _DOMAIN_VERSION),
        ],
        producer_name="distilforge",
    )
    onnx.checker.check_model(model)
    onnx.save(model, output)


def _architecture(capabilities: tuple[str, ...]) -> str:
    """The one compute capability of an engine, as providers write it, "86" or "80+"; "" for an engine for several.

    Providers warn where the device has another.
    """
    return capabilities[0].replace(".", "") if len(capabilities) == 1 else ""
