"""Reading the log. The lines are shortened lines of TensorRT-RTX 1.7.1."""

from pipeline.engines import log
from pipeline.engines.log import Message

HALF = "{ Name: a, Dimensions: [-1,768], Datatype: Half, Format: (Linear) }"
FLOAT = HALF.replace("Half", "Float")
INT8 = HALF.replace("Half", "Int8")
IDS = HALF.replace("Half", "Int64")


def layer(kind: str, inputs: str, constants: str, outputs: str) -> str:
    return (
        f"Name: x_myl0_2, LayerType: {kind}, Inputs: [ {inputs}], Constants: [ {constants}], Outputs: [ {outputs}], "
        "TacticName: , StreamId: 0, Metadata: [ONNX Layer: x/MatMul]"
    )


def listing(*layers: str) -> list[Message]:
    return [Message(severity="VERBOSE", text="\n".join(("Layers:", *layers)))]


def said(severity: str, *texts: str) -> list[Message]:
    return [Message(severity=severity, text=text) for text in texts]


def test_warnings_are_kept_once_each_in_order() -> None:
    messages = said("WARNING", "b", "a", "b") + said("INFO", "c")
    assert log.warnings(messages) == ("b", "a")


def test_the_activation_memory_is_that_of_the_largest_profile() -> None:
    messages = said("INFO", "Total Activation Memory: 12 bytes", "Total Activation Memory: 218103808 bytes")
    assert log.activation_bytes(messages) == 218103808


def test_a_log_that_names_no_activation_memory_gives_none() -> None:
    assert log.activation_bytes(said("INFO", "Total Weights Memory: 12 bytes")) is None


def test_a_layer_computes_in_the_narrowest_type_of_its_tensors() -> None:
    messages = listing(
        layer("gemm", INT8, "", HALF),
        layer("kgen", f"{HALF}, {FLOAT}", FLOAT, FLOAT),
        layer("kgen", IDS, HALF, FLOAT),
    )
    assert log.layer_precisions(messages) == {"fp16": 1, "fp32": 1, "int8": 1}


def test_weights_that_are_only_stored_in_int8_do_not_count_as_int8() -> None:
    assert log.layer_precisions(listing(layer("gemm", HALF, INT8, HALF))) == {"fp16": 1}


def test_layers_that_do_not_compute_are_not_counted() -> None:
    assert log.layer_precisions(listing(layer("signal", "", "", ""), layer("wait", "", "", ""))) == {}


def test_the_node_of_the_last_error_is_found_by_its_whole_name() -> None:
    nodes = ("layer.0/MatMul", "layer.0/MatMul_1", "layer.1/MatMul")
    assert log.node_in(["at layer.1/MatMul", "in node layer.0/MatMul_1: no"], nodes) == "layer.0/MatMul_1"
    assert log.node_in(["in node layer.0/MatMul: no"], nodes) == "layer.0/MatMul"


def test_a_range_of_nodes_that_were_compiled_together_names_none() -> None:
    text = "Could not find any implementation for node {ForeignNode[layer.0/MatMul...layer.1/MatMul]}"
    assert log.node_in([text], ("layer.0/MatMul", "layer.1/MatMul")) == ""
