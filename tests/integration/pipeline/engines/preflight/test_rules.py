"""The check of ONNX files on real graphs with the real parser: what passes, and which modules problems name."""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnx_ir
import pytest
from onnx import TensorProto, helper, numpy_helper
from typer.testing import CliRunner

from model_src import heads
from pipeline.cli import display
from pipeline.cli.app import app
from pipeline.engines.compiler import EngineCompiler
from pipeline.engines.preflight import check
from pipeline.engines.preflight import table as preflight_table
from pipeline.engines.preflight.check import Preflight
from pipeline.engines.preflight.inspection import Problem
from pipeline.engines.preflight.rules import READ_BY_NAME, UNSUPPORTED
from pipeline.errors import StageError, UsageError
from pipeline.graph.file import Graph
from pipeline.graph.names import module_of
from pipeline.passes import base, registry
from pipeline.precision import schemes
from pipeline.recipe.plan import Plan, preset
from pipeline.stages.transform import transform
from pipeline.store.versions import installed
from pipeline.targets.tensorrt import TENSORRT
from pipeline.targets.tensorrt_rtx import TENSORRT_RTX
from tests.graphs import LAYERS, calibration, exported

ABSENT = replace(TENSORRT, package="tensorrt-that-nobody-has", module="tensorrt_that_nobody_has")
ask_the_parser = pytest.mark.skipif(
    installed(TENSORRT_RTX.package) is None or installed("polygraphy") is None,
    reason="tensorrt-rtx and polygraphy are not installed",
)

X = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 4])
Y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 4])


def node(
    op_type: str, inputs: Sequence[str], outputs: Sequence[str], name: str = "layer.0", **more: object
) -> onnx.NodeProto:
    return helper.make_node(op_type, inputs, outputs, name=f"{name}/{op_type}", **more)


def model(
    *nodes: onnx.NodeProto,
    inputs: Sequence[onnx.ValueInfoProto] = (X,),
    outputs: Sequence[onnx.ValueInfoProto] = (Y,),
    weights: Sequence[onnx.TensorProto] = (),
    domains: Sequence[str] = (),
    opset: int = 23,
) -> onnx.ModelProto:
    graph = helper.make_graph(nodes, "test", inputs, outputs, weights)
    opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(domain, 1) for domain in domains)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)


def checked(
    model_or_graph: onnx.ModelProto | Graph, folder: Path, compiler: EngineCompiler = TENSORRT_RTX
) -> Preflight:
    path = folder / "model.onnx"
    proto = (
        model_or_graph if isinstance(model_or_graph, onnx.ModelProto) else onnx_ir.to_proto(model_or_graph)
    )
    path.write_bytes(proto.SerializeToString())
    return check.check(path, compiler)


def about(preflight: Preflight, operator: str) -> Problem:
    """The first problem with a node of `operator`."""
    return next(problem for problem in preflight.problems if problem.operator == operator)


@ask_the_parser
@pytest.mark.parametrize("head", heads.names())
def test_every_exported_head_passes_in_fp32(head: str, tmp_path: Path) -> None:
    preflight = checked(exported(head), tmp_path)
    assert preflight, preflight.problems
    assert preflight.parser.startswith("TensorRT-RTX ")
    assert preflight.facts.inputs["input_ids"] == tuple(
        ["batch", "choices", "sequence"] if head == "multiple_choice" else ["batch", "sequence"]
    )


@ask_the_parser
def test_files_of_the_current_folder_are_not_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A graph may be checked in the folder that it came with."""
    folder = tmp_path / "current"
    folder.mkdir()
    (folder / "json.py").write_text("raise SystemExit('imported from the current folder')")
    monkeypatch.chdir(folder)
    preflight = checked(exported("features"), tmp_path)
    assert preflight, preflight.problems


def fused(head: str = "sequence_classification") -> Graph:
    graph = exported(head)
    base.apply(graph, [registry.find("attention_onnx")])
    return graph


@ask_the_parser
def test_fused_attention_passes_in_fp16_and_is_named_in_fp32(tmp_path: Path) -> None:
    graph = fused()
    refused = checked(graph, tmp_path)
    attention = [problem for problem in refused.obstacles if problem.operator == "Attention"]
    assert [problem.module for problem in attention] == [
        f"distilbert.transformer.layer.{layer}.attention" for layer in range(LAYERS)
    ]
    assert "fp32" in attention[0].problem
    assert "fp16" in attention[0].advice
    schemes.find("fp16").run(graph, Plan(scheme="fp16"), calibration())
    preflight = checked(graph, tmp_path)
    assert preflight, preflight.problems


@ask_the_parser
@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_what_the_presets_make_for_engines_passes(precision: str, tmp_path: Path) -> None:
    graph, head = exported(), "sequence_classification"
    transform(graph, preset(TENSORRT_RTX.target, precision, head), calibration(head))
    preflight = checked(graph, tmp_path)
    assert not preflight.problems


@ask_the_parser
def test_an_int8_graph_for_the_cpu_is_named_by_module(tmp_path: Path) -> None:
    graph = exported()
    plan = Plan(scheme="int8_static")
    schemes.find("int8_static").run(graph, plan, calibration())
    base.apply(graph, [registry.find("integer_matmul")])
    preflight = checked(graph, tmp_path)
    foreign = [
        problem for problem in preflight.obstacles if problem.operator == "com.microsoft.MatMulIntegerToFloat"
    ]
    assert "distilbert.transformer.layer.1.ffn.lin2" in {problem.module for problem in foreign}
    assert "com.microsoft" in foreign[0].problem
    unsigned = [
        problem
        for problem in preflight.obstacles
        if "uint8" in problem.problem or "zero point" in problem.problem
    ]
    assert any(problem.module.startswith("distilbert.transformer.layer.0") for problem in unsigned)


def quantized(zero_point: object, dtype: type[np.generic]) -> onnx.ModelProto:
    return model(
        node("QuantizeLinear", ["x", "scale", "zero"], ["q"]),
        node("DequantizeLinear", ["q", "scale", "zero"], ["y"]),
        weights=[
            numpy_helper.from_array(np.float32(0.1), "scale"),
            numpy_helper.from_array(np.array(zero_point, dtype), "zero"),
        ],
    )


@ask_the_parser
@pytest.mark.parametrize(
    ("zero_point", "dtype", "value"),
    [(0, np.uint8, ""), (128, np.uint8, "128"), (-3, np.int8, "-3")],
)
def test_zero_points_must_be_signed_and_zero(
    zero_point: int, dtype: type[np.generic], value: str, tmp_path: Path
) -> None:
    preflight = checked(quantized(zero_point, dtype), tmp_path)
    assert value in {problem.value for problem in preflight.obstacles}
    assert {problem.module for problem in preflight.obstacles} == {"layer.0"}


@ask_the_parser
def test_signed_symmetric_pairs_pass(tmp_path: Path) -> None:
    assert not checked(quantized(0, np.int8), tmp_path).problems


def test_quantization_without_a_zero_point_is_unsigned(tmp_path: Path) -> None:
    pair = quantized(0, np.uint8)
    for node in pair.graph.node:
        del node.input[2]
    assert "uint8" in about(checked(pair, tmp_path, ABSENT), "QuantizeLinear").problem


@ask_the_parser
def test_branches_are_noted_and_checked(tmp_path: Path) -> None:
    def branch(name: str, op_type: str) -> onnx.GraphProto:
        out = helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
        return helper.make_graph([node(op_type, ["x"], [name], "layer.1")], name, [], [out])

    condition = helper.make_tensor_value_info("c", TensorProto.BOOL, [])

    def made(op_type: str) -> onnx.ModelProto:
        choice = node("If", ["c"], ["y"], then_branch=branch("t", op_type), else_branch=branch("e", "Neg"))
        return model(choice, inputs=[X, condition])

    passing = checked(made("Relu"), tmp_path)
    assert passing
    assert about(passing, "If").module == "layer.0"
    assert about(checked(made("Wobble"), tmp_path), "Wobble").module == "layer.1"


def test_branches_in_functions_are_checked(tmp_path: Path) -> None:
    out = helper.make_tensor_value_info("z", TensorProto.FLOAT, None)
    branch = helper.make_graph([node("MatMulInteger", ["x", "x"], ["z"], "layer.1")], "branch", [], [out])
    choice = node("If", ["c"], ["y"], then_branch=branch, else_branch=branch)
    made = model(
        helper.make_node("f", ["x", "c"], ["y"], domain="own"),
        inputs=[X, helper.make_tensor_value_info("c", TensorProto.BOOL, [])],
        domains=["own"],
    )
    opset = helper.make_opsetid("", 23)
    made.functions.append(helper.make_function("own", "f", ["x", "c"], ["y"], [choice], [opset]))
    assert about(checked(made, tmp_path, ABSENT), "MatMulInteger").module == "layer.1"


@ask_the_parser
def test_float64_is_named_where_it_is_computed_and_stored(tmp_path: Path) -> None:
    made = model(
        node("Cast", ["x"], ["wide"], to=TensorProto.DOUBLE),
        node("MatMul", ["wide", "pre_classifier.weight"], ["product"], "pre_classifier"),
        node("Cast", ["product"], ["y"], "pre_classifier", to=TensorProto.FLOAT),
        weights=[numpy_helper.from_array(np.eye(4), "pre_classifier.weight")],
    )
    preflight = checked(made, tmp_path)
    assert preflight, "TensorRT-RTX computes it as float32"
    named = {
        (problem.module, problem.operator) for problem in preflight.problems if "float64" in problem.problem
    }
    assert named == {("layer.0", "Cast"), ("pre_classifier", "MatMul"), ("pre_classifier", "weight")}


@ask_the_parser
@pytest.mark.parametrize("element", [TensorProto.INT16, TensorProto.UINT32, TensorProto.STRING])
def test_types_that_tensorrt_lacks(element: int, tmp_path: Path) -> None:
    ends = [helper.make_tensor_value_info(name, element, ["batch", 4]) for name in "xy"]
    preflight = checked(model(node("Identity", ["x"], ["y"]), inputs=ends[:1], outputs=ends[1:]), tmp_path)
    assert "convertDtype" in about(preflight, "input").parser
    assert about(preflight, "Identity").kind == "refused"


@ask_the_parser
@pytest.mark.parametrize("domain", ["", "org.example"])
def test_an_unknown_operator_is_a_problem_with_the_parsers_message(domain: str, tmp_path: Path) -> None:
    made = model(
        node("Relu", ["x"], ["a"]),
        node("Wobble", ["a"], ["y"], "transformer.layer.3.ffn", domain=domain),
        domains=[domain] if domain else [],
    )
    (problem,) = checked(made, tmp_path).obstacles
    assert problem.module == "transformer.layer.3.ffn"
    assert problem.node == "transformer.layer.3.ffn/Wobble"
    assert "Plugin not found" in problem.parser


@ask_the_parser
def test_an_operator_that_the_parser_reads_by_name_is_a_note(tmp_path: Path) -> None:
    made = model(node("Gelu", ["x"], ["y"], domain="com.microsoft"), domains=["com.microsoft"])
    preflight = checked(made, tmp_path)
    assert preflight
    assert "since it ignores the domain" in about(preflight, "com.microsoft.Gelu").problem


@ask_the_parser
def test_a_crash_of_the_parser_is_a_problem(tmp_path: Path) -> None:
    without_outputs = helper.make_node("Relu", ["x"], [], name="layer.0/Relu")
    preflight = checked(model(without_outputs), tmp_path)
    assert any("SIGSEGV" in problem.problem for problem in preflight.obstacles), preflight.problems


@ask_the_parser
def test_a_folder_called_pipeline_in_the_current_folder_is_not_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pipeline").mkdir()
    (tmp_path / "pipeline" / "__init__.py").write_text("raise SystemExit('the wrong pipeline')")
    monkeypatch.chdir(tmp_path)
    preflight = checked(model(node("Relu", ["x"], ["y"])), tmp_path)
    assert preflight, preflight.problems
    assert preflight.asked


@ask_the_parser
def test_the_rules_and_the_parser_agree_about_operators() -> None:
    asked = (
        "import json, sys, tensorrt_rtx as t; l = t.Logger(t.Logger.ERROR); "
        "b = t.Builder(l); n = b.create_network(); p = t.OnnxParser(n, l); "
        "print(json.dumps([o for o in json.load(sys.stdin) if p.supports_operator(o)]))"
    )

    def supported(names: list[str]) -> set[str]:
        done = subprocess.run(
            [sys.executable, "-c", asked], input=json.dumps(names), capture_output=True, text=True, check=True
        )
        return set(json.loads(done.stdout.splitlines()[-1]))

    own = sorted({schema.name for schema in onnx.defs.get_all_schemas() if schema.domain == ""})
    assert set(own) - supported(own) == UNSUPPORTED & set(own)
    assert supported(sorted(READ_BY_NAME)) == READ_BY_NAME


def test_axes_without_a_name_and_inputs_without_a_shape(tmp_path: Path) -> None:
    unnamed = helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 4])
    preflight = checked(model(node("Relu", ["x"], ["y"]), inputs=[unnamed]), tmp_path, ABSENT)
    assert preflight
    assert "axis 0 of x has no name" in about(preflight, "input").problem
    shapeless = helper.make_tensor_value_info("x", TensorProto.FLOAT, None)
    assert not checked(model(node("Relu", ["x"], ["y"]), inputs=[shapeless]), tmp_path, ABSENT)


def test_without_the_compiler_the_rules_work_and_say_that_no_parser_was_asked(tmp_path: Path) -> None:
    preflight = checked(fused(), tmp_path, ABSENT)
    assert preflight.parser.startswith("not asked: tensorrt-that-nobody-has")
    assert "pip install" in preflight.parser
    assert about(preflight, "Attention").kind == "note"
    assert not checked(model(node("MatMulInteger", ["x", "x"], ["y"])), tmp_path, ABSENT)


def external(folder: Path) -> Path:
    path = folder / "model.onnx"
    onnx_ir.save(exported(), path, external_data="weights.bin")
    return path


@ask_the_parser
def test_external_data_is_found_beside_the_model(tmp_path: Path) -> None:
    preflight = check.check(external(tmp_path), TENSORRT_RTX)
    assert preflight, preflight.problems
    assert preflight.facts.external == ("weights.bin",)


@pytest.mark.parametrize("damage", ["missing", "cut off"])
def test_incomplete_external_data_is_a_problem(damage: str, tmp_path: Path) -> None:
    path = external(tmp_path)
    data = tmp_path / "weights.bin"
    if damage == "missing":
        data.unlink()
    else:
        data.write_bytes(data.read_bytes()[:-1])
    preflight = check.check(path, TENSORRT_RTX)
    assert "'weights.bin'" in about(preflight, "external data").problem
    assert preflight.parser == "not asked: external data is missing"


@pytest.mark.parametrize("content", [b"", b"no ONNX at all", b"\x08\x0a" * 300, None])
def test_a_file_that_is_not_onnx_is_refused(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError, match=r"model\.onnx"):
        check.check(path, TENSORRT_RTX)


@pytest.mark.parametrize("kept", [0.2, 0.9, 0.999])
def test_an_incomplete_file_is_refused(kept: float, tmp_path: Path) -> None:
    content = onnx_ir.to_proto(exported()).SerializeToString()
    path = tmp_path / "model.onnx"
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(UsageError, match="damaged"):
        check.check(path, TENSORRT_RTX)


def test_modules_of_names() -> None:
    assert module_of("transformer.layer.0.ffn.lin1/MatMul") == "transformer.layer.0.ffn.lin1"
    assert module_of("/distilbert/layer.0/Softmax") == "distilbert.layer.0"
    assert module_of("node_12") == "node_12"


def run(*arguments: str | Path, code: int) -> tuple[str, str]:
    ran = CliRunner().invoke(app, ["check", *map(str, arguments)])
    assert ran.exit_code == code, ran.output
    return ran.stdout, ran.stderr


def test_the_command_prints_a_table_and_ends_with_5(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(model(node("Wobble", ["x"], ["y"], "transformer.layer.3.ffn")).SerializeToString())
    out, error = run(path, "--for", "tensorrt", code=5)
    for said in ("stops", "transformer.layer.3.ffn", "Wobble", "1 Wobble", "batch x 4"):
        assert said in out
    assert "1 problem prevents an engine" in error
    values = json.loads(run(path, "--for", "tensorrt", "--json", code=5)[0])
    assert values["passes"] is False
    assert values["problems"][0]["module"] == "transformer.layer.3.ffn"


def test_the_command_ends_with_0_where_there_is_no_problem(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(model(node("Relu", ["x"], ["y"])).SerializeToString())
    assert "there is no problem" in run(path, "--for", "tensorrt-rtx", code=0)[0]
    assert "the rules found no problem" in run(path, "--for", "tensorrt", code=0)[0]


def test_the_command_ends_with_2_for_other_files_and_for_unknown_targets(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_text("text")
    assert "is not an ONNX file" in run(path, "--for", "tensorrt", code=2)[1]
    assert "did you mean 'tensorrt-rtx'" in run(path, "--for", "tensorrt-rtxx", code=2)[1]


def test_brackets_are_shown_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    preflight = Preflight(
        model="m",
        compiler="TensorRT",
        facts=check.Facts(ir_version=1, opsets={}, operators={}, types={}, inputs={}, external=()),
        parser="not asked: pip install 'pipeline[tensorrt]'",
        asked=False,
        problems=(),
    )
    display.table(("", ""), preflight_table.facts(preflight))
    assert preflight.parser in capsys.readouterr().out
    # The sentence must not suggest that the parser agreed
    assert "the parser was not asked" in preflight_table.clear(preflight)
    assert (
        preflight_table.clear(replace(preflight, parser="TensorRT 10.3", asked=True)) == "there is no problem"
    )


def test_many_modules_share_a_row() -> None:
    problem = Problem(kind="refused", problem="p", module="", node="", operator="Wobble", advice="a")
    problems = tuple(replace(problem, module=f"layer.{layer}") for layer in range(9))
    preflight = Preflight(
        model="m",
        compiler="TensorRT",
        facts=check.Facts(ir_version=1, opsets={}, operators={}, types={}, inputs={}, external=()),
        parser="",
        asked=True,
        problems=problems,
    )
    (row,) = preflight_table.rows(preflight)
    assert row[2].splitlines()[0] == "layer.0"
    assert row[2].splitlines()[-1] == "and 3 more"
    with pytest.raises(StageError, match="9 problems prevent"):
        check.judge(preflight)
