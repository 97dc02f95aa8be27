"""manifest.schema.json accepts exactly what `Manifest.to_json` writes."""

import copy
import json
import re
from collections.abc import Iterator
from dataclasses import MISSING, fields, is_dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import jsonschema
import pytest
from distilforge import limits
from distilforge.manifest import (
    CompiledEngine,
    FileRecord,
    Manifest,
    Measurement,
    Metric,
    PassRecord,
    Provenance,
    Span,
    Steadiness,
    Tensor,
    Variant,
    Verdict,
    Withheld,
)
from distilforge.manifest.consistency import DTYPES, PROBLEM_TYPES

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

FULL = Manifest(
    name="sentiment",
    version="0123456789ab",
    head="sequence_classification",
    labels=("bad", "good"),
    problem_type="single_label_classification",
    inputs=(Tensor(name="input_ids", dtype="int64", shape=("batch", "sequence")),),
    outputs=(Tensor(name="logits", dtype="float32", shape=("batch", 2)),),
    spans={"batch": Span(low=1, usual=8, high=32), "sequence": Span(low=2, usual=128, high=512)},
    variants=(
        Variant(
            target="onnxruntime-cpu",
            precision="fp32",
            files=("onnx/model.onnx",),
            passes=(PassRecord(name="layer_norm", rewrites=13),),
            needs=("exact-int8",),
            session={"session.set_denormal_as_zero": "1"},
            oracle="onnx/model.onnx",
            compiled=CompiledEngine(
                flavour="TensorRT-RTX",
                version="1.7.1.116",
                capabilities=("8.6", "12.0+"),
                profiles=({"batch": Span(low=1, usual=8, high=32)},),
                precisions={"float16": 60},
                bytes=10,
                activation_bytes=20,
                build_seconds=1.5,
                options={"tf32": "false"},
                warnings=("said once",),
            ),
            notes=("Depends on its batch.",),
            widened=("noise 0.9, where 0.35 is usual",),
            validated=True,
            metrics=(Metric(name="accuracy", eager=0.9, variant=0.9, examples=1500),),
            verdicts=(
                Verdict(
                    check="largest error",
                    observed=1e-6,
                    comparison="at most",
                    limit=1e-4,
                    unit="logits",
                    reason="rounding",
                    interval=(0.0, 2e-6),
                    kind="error",
                    settled=False,
                ),
            ),
            measurements=(Measurement(subject="eager", batch=1, tokens=16, seconds=(0.01, 0.02), runs=(2,)),),
        ),
    ),
    files={
        name: FileRecord(sha256="a" * 64, bytes=10)
        for name in ("onnx/model.onnx", "config.json", "tokenizer.json")
    },
    provenance=Provenance(
        checkpoint_sha256="b" * 64,
        recipe_sha256="c" * 64,
        git_commit="d" * 40,
        tools={"torch": "2.13.0"},
        host="a CPU",
        created="2026-01-01T00:00:00+00:00",
        data_sha256={"evaluation": "e" * 64},
    ),
    withheld=(Withheld(name="onnxruntime-cpu:int8", reason="not faster"),),
    timing=Steadiness(
        steady=False,
        reasons=("others took a core",),
        rounds=12,
        apart=(3,),
        spread=0.1,
        others_cores=1.0,
        stolen_cores=0.1,
        interruptions=12.5,
        megahertz=(2000.0, 3000.0),
        round_trip_nanoseconds=(300.0, 900.0),
    ),
)
SCHEMA_FILE = files("distilforge").joinpath("manifest.schema.json")
SCHEMA = json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))
Steps = tuple[str | int, ...]


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft202012Validator:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    return jsonschema.Draft202012Validator(SCHEMA)


def document() -> dict[str, object]:
    parsed = json.loads(FULL.to_json())
    assert isinstance(parsed, dict)
    return parsed


def objects(value: object, path: Steps = ()) -> Iterator[Steps]:
    """The path of every object inside `value`."""
    if isinstance(value, dict):
        yield path
        for key, inner in value.items():
            yield from objects(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from objects(inner, (*path, index))


def at(value: object, path: Steps) -> dict[str, object]:
    for step in path:
        value = value[step]  # type: ignore[index]
    assert isinstance(value, dict)
    return value


def instance_at(path: Steps) -> "DataclassInstance":
    """The part of FULL that is written at `path`."""
    value: object = FULL
    for step in path:
        value = getattr(value, str(step)) if is_dataclass(value) else value[step]  # type: ignore[index]
    assert is_dataclass(value)
    assert not isinstance(value, type)
    return value


def schema_at(path: Steps) -> tuple[str, dict[str, list[str]]]:
    """The part of the schema for what is written at `path`, and its name there."""
    name, node = "the top", SCHEMA
    for step in path:
        node = (
            node["items"]
            if isinstance(step, int)
            else node.get("properties", {}).get(step) or node["additionalProperties"]
        )
        node = node["anyOf"][-1] if "anyOf" in node else node
        if "$ref" in node:
            name = node["$ref"].removeprefix("#/")
            node = SCHEMA["$defs"][name.removeprefix("$defs/")]
    return name, node


def default_at(path: Steps, key: str) -> object:
    """The default of the field `key`, as JSON."""
    (entry,) = (entry for entry in fields(instance_at(path)) if entry.name == key)
    default = entry.default if entry.default_factory is MISSING else entry.default_factory()
    return json.loads(json.dumps(default))


COMPILED = ("variants", 0, "compiled")
OPEN = {
    ("spans",),
    ("files",),
    ("provenance", "tools"),
    ("provenance", "data_sha256"),
    ("variants", 0, "session"),
    (*COMPILED, "profiles", 0),
    (*COMPILED, "precisions"),
    (*COMPILED, "options"),
}
PLACES = [path for path in objects(document()) if path not in OPEN]
FIELDS = [(path, key) for path in PLACES for key in at(document(), path)]
# What older releases do not have, and what the system may not tell
OPTIONAL = [(path, key) for path, key in FIELDS if key not in schema_at(path)[1]["required"]]


@pytest.mark.parametrize("path", PLACES)
def test_the_schema_has_the_fields_of_the_dataclasses(path: Steps) -> None:
    name, schema = schema_at(path)
    own = {entry.name: entry for entry in fields(instance_at(path))}
    absent = sorted(own.keys() - schema["properties"])
    assert absent == [], f"add {', '.join(absent)} to the properties of {name} in manifest.schema.json"
    unknown = sorted(schema["properties"] - own.keys())
    assert unknown == [], f"remove {', '.join(unknown)} from {name} in manifest.schema.json"
    needed = {key for key, entry in own.items() if entry.default is entry.default_factory is MISSING}
    optional = sorted(needed - set(schema["required"]))
    assert optional == [], f"{', '.join(optional)} has no default: add it to what {name} requires"


@pytest.mark.parametrize(("path", "key"), FIELDS)
def test_the_example_has_another_value_than_the_default(path: Steps, key: str) -> None:
    """Otherwise the tests below would not see that a field is lost."""
    value = at(document(), path)[key]
    (entry,) = (entry for entry in fields(instance_at(path)) if entry.name == key)
    has_default = entry.default is not MISSING or entry.default_factory is not MISSING
    assert not has_default or key == "schema" or value != default_at(path, key), f"give {key} a value in FULL"


def test_what_is_written_is_accepted_and_read_back(validator: jsonschema.Draft202012Validator) -> None:
    validator.validate(document())
    assert Manifest.from_json(FULL.to_json()) == FULL


def test_empty_and_absent_values_are_accepted(validator: jsonschema.Draft202012Validator) -> None:
    bare = Manifest(
        name=FULL.name,
        version=FULL.version,
        head="features",
        labels=(),
        problem_type=None,
        inputs=FULL.inputs,
        outputs=FULL.outputs,
        spans=FULL.spans,
        variants=(Variant(target="onnxruntime-cpu", precision="fp32", files=("onnx/model.onnx",)),),
        files=FULL.files,
        provenance=FULL.provenance,
    )
    validator.validate(json.loads(bare.to_json()))
    assert Manifest.from_json(bare.to_json()) == bare


@pytest.mark.parametrize(("path", "key"), OPTIONAL)
def test_an_optional_field_may_be_absent_and_has_its_default(
    validator: jsonschema.Draft202012Validator, path: Steps, key: str
) -> None:
    changed, expected = document(), document()
    del at(changed, path)[key]
    at(expected, path)[key] = default_at(path, key)
    validator.validate(changed)
    assert json.loads(Manifest.from_json(json.dumps(changed)).to_json()) == expected


def test_the_manifest_of_an_older_release_is_read(validator: jsonschema.Draft202012Validator) -> None:
    old = document()
    # The innermost first, since what holds them may be optional too
    for path, key in sorted(OPTIONAL, key=lambda place: -len(place[0])):
        del at(old, path)[key]
    validator.validate(old)
    assert Manifest.from_json(json.dumps(old)).timing is None


@pytest.mark.parametrize(("path", "key"), [place for place in FIELDS if place not in OPTIONAL])
def test_a_field_left_out_is_refused(
    validator: jsonschema.Draft202012Validator, path: Steps, key: str
) -> None:
    changed = document()
    del at(changed, path)[key]
    assert not validator.is_valid(changed)


@pytest.mark.parametrize(("path", "key"), FIELDS)
def test_a_field_of_another_type_is_refused(
    validator: jsonschema.Draft202012Validator, path: Steps, key: str
) -> None:
    changed = document()
    value = at(changed, path)[key]
    at(changed, path)[key] = [7] if not isinstance(value, list) else 7
    assert not validator.is_valid(changed)


@pytest.mark.parametrize("path", PLACES)
def test_an_unknown_field_is_refused(validator: jsonschema.Draft202012Validator, path: Steps) -> None:
    changed = document()
    at(changed, path)["colour"] = "blue"
    assert not validator.is_valid(changed)


@pytest.mark.parametrize(
    "name",
    [
        *("../x", "/x", "x/../y", "x//y", "x\\y", "C:x", "./x", "x/.", "", "x/", "x\ny", "x\x1b"),
        *("x" * 256, "/".join("x" * 17), "/".join(["x" * 255] * 5), "manifest.json"),
    ],
)
def test_a_path_that_escapes_is_refused(validator: jsonschema.Draft202012Validator, name: str) -> None:
    changed = document()
    at(changed, ("files",))[name] = copy.copy(at(changed, ("files", "onnx/model.onnx")))
    assert not validator.is_valid(changed)


@pytest.mark.parametrize("name", ["vocab.txt", "a/b/c.d", ".hidden", "..x", "a b/ä"])
def test_a_plain_path_is_accepted(validator: jsonschema.Draft202012Validator, name: str) -> None:
    changed = document()
    at(changed, ("files",))[name] = copy.copy(at(changed, ("files", "onnx/model.onnx")))
    validator.validate(changed)


def test_it_has_the_limits_of_the_format(validator: jsonschema.Draft202012Validator) -> None:
    schema = validator.schema
    assert isinstance(schema, dict)
    top, parts = schema["properties"], schema["$defs"]
    variant = parts["variant"]["properties"]
    for most, places in {
        limits.MOST_FILES: [top["files"]["maxProperties"]],
        limits.MOST_FILE_BYTES: [parts["file"]["properties"]["bytes"]["maximum"]],
        limits.MOST_PATH_BYTES: [top["files"]["propertyNames"]["maxLength"]],
        limits.MOST_VARIANTS: [top["variants"]["maxItems"], top["withheld"]["maxItems"]],
        limits.MOST_ENTRIES: [
            variant["session"]["maxProperties"],
            parts["provenance"]["properties"]["tools"]["maxProperties"],
            *(
                variant[name]["maxItems"]
                for name in ("files", "passes", "needs", "notes", "metrics", "verdicts", "measurements")
            ),
        ],
        limits.MOST_LABELS: [top["labels"]["maxItems"]],
        limits.MOST_NAME_CHARACTERS: [parts["name"]["maxLength"], top["head"]["maxLength"]],
        limits.MOST_TEXT_CHARACTERS: [parts["text"]["maxLength"]],
        limits.MOST_TENSORS: [
            top["inputs"]["maxItems"],
            top["outputs"]["maxItems"],
            top["spans"]["maxProperties"],
            parts["tensor"]["properties"]["shape"]["maxItems"],
        ],
        limits.MOST_SIZE: [parts["size"]["maximum"]],
        limits.MOST_SAMPLES: [parts["measurement"]["properties"]["seconds"]["maxItems"]],
        limits.MOST_SECONDS: [parts["measurement"]["properties"]["seconds"]["items"]["maximum"]],
    }.items():
        assert places == [most] * len(places)
    assert parts["tensor"]["properties"]["dtype"]["enum"] == list(DTYPES)
    assert top["problem_type"]["enum"] == list(PROBLEM_TYPES)


def test_the_specification_states_the_limits() -> None:
    text = (Path(__file__).parents[3] / "artifacts" / "README.md").read_text(encoding="utf-8")
    rules = " ".join(text.partition("## Layout")[0].split())
    stated = {name: getattr(limits, name) for name in dir(limits) if name.startswith(("MOST_", "LEAST_"))}
    assert len(stated) == 21
    for name, value in stated.items():
        number = f"{value:,.0f}" if value >= 1 else "1e-9"
        assert re.search(rf"(?<![\d,]){number}(?![\d]|,\d)", rules), name
