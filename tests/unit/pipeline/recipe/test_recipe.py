"""The recipe and its TOML form."""

from dataclasses import replace
from pathlib import Path

import pytest
from distilforge.manifest import Span

from model_src import heads
from pipeline.errors import UsageError
from pipeline.recipe import toml as recipe_toml
from pipeline.recipe.recipe import Recipe, VariantName
from validation.gates import LIMITS, Gates

ROOT = Path(__file__).parents[4]

FULL = """
name = "reviews"
checkpoint = "../checkpoints/reviews"
head = "sequence_classification"
variants = ["onnxruntime-cpu:fp32"]
optional = ["onnxruntime-cpu:fp32"]
evaluation = "evaluation.jsonl"
calibration = "calibration.jsonl"

[spans]
batch = [1, 4, 16]

[gates]
margin = 0.02
confidence = 0.99
speedup = 0
mode = "report"
shapes = [[1, 16], [2, 8]]
seconds_per_shape = 1
threads = 2
sibling_speedup = 1.5
batch_dependent = []

[gates.limits.fp32]
error = 1e-3

[gates.limits.int8]
noise = "off"
agreement = 1
faster_than = ["fp16"]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "evaluation.jsonl").write_text('{"text": "a", "label": "b"}\n')
    (tmp_path / "calibration.jsonl").write_text('{"text": "c", "label": "b"}\n')
    return tmp_path


def read(folder: Path, text: str) -> Recipe:
    path = folder / "given.toml"
    path.write_text(text)
    return recipe_toml.read(path)


def test_every_field_is_read_and_paths_are_relative_to_the_file(folder: Path) -> None:
    assert read(folder, FULL) == Recipe(
        name="reviews",
        checkpoint=str(folder / "../checkpoints/reviews"),
        head="sequence_classification",
        variants=(VariantName(target="onnxruntime-cpu", precision="fp32"),),
        optional=(VariantName(target="onnxruntime-cpu", precision="fp32"),),
        spans={"batch": Span(low=1, usual=4, high=16)},
        evaluation=folder / "evaluation.jsonl",
        calibration=folder / "calibration.jsonl",
        gates=Gates(
            limits={
                **LIMITS,
                "fp32": replace(LIMITS["fp32"], error=1e-3),
                "int8": replace(LIMITS["int8"], noise=None, agreement=1.0, faster_than=("fp16",)),
            },
            sibling_speedup=1.5,
            batch_dependent=(),
            margin=0.02,
            confidence=0.99,
            speedup=0,
            mode="report",
            shapes=((1, 16), (2, 8)),
            seconds_per_shape=1,
            threads=2,
        ),
    )


def test_defaults(folder: Path) -> None:
    given = read(folder, 'checkpoint = "somebody/distilbert"')
    assert given == Recipe(name="given", checkpoint="somebody/distilbert")
    assert [str(variant) for variant in given.variants] == ["onnxruntime-cpu:fp32"]


def test_values_of_the_command_line_replace_what_they_name_and_leave_the_rest(folder: Path) -> None:
    recipe = read(folder, FULL)
    values = {"head": "features", "evaluation": folder / "calibration.jsonl", "gates": {"latency": "skip"}}
    assert recipe_toml.update(recipe, values) == replace(
        recipe,
        head="features",
        evaluation=folder / "calibration.jsonl",
        gates=replace(recipe.gates, latency="skip"),
    )
    with pytest.raises(UsageError, match="engine: buckets must rise from at least 1, found 0 after 0"):
        recipe_toml.update(recipe, {"engine": {"buckets": [0]}})


def test_a_folder_beside_the_recipe_is_not_a_hub_id(folder: Path) -> None:
    (folder / "models" / "mine").mkdir(parents=True)
    assert read(folder, 'checkpoint = "models/mine"').checkpoint == str(folder / "models/mine")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('chekpoint = "x"', r"given.toml has the unknown field 'chekpoint'.*did you mean 'checkpoint'"),
        ("", r"given.toml lacks the field 'checkpoint'\n  hint: recipes/README.md has every name"),
        ("checkpoint = 3", r"given.toml: checkpoint must be text, found 3"),
        ('checkpoint = ""', r"given.toml: a recipe needs a checkpoint, found ''\n  hint: "),
        ('checkpoint = "x"\nname = ""', r"a release cannot be called ''"),
        ('checkpoint = "x"\nvariants = "y"', r"variants must be a list, found 'y'"),
        ('checkpoint = "x"\nvariants = [3]', r"variants\[0\] must be text, found 3"),
        (
            'checkpoint = "x"\nvariants = ["cpu"]',
            r"variants\[0\]: a variant is target:precision, found 'cpu'",
        ),
        ('checkpoint = "x"\nvariants = []', r"needs at least one variant"),
        ('checkpoint = "x"\nvariants = ["a:b", "a:b"]', r"a:b is asked for twice"),
        (
            'checkpoint = "x"\noptional = ["onnxruntime-cpu:int8"]',
            r"given.toml: optional names onnxruntime-cpu:int8, which is not one of variants.*onnxruntime-cpu:fp32",
        ),
        ('checkpoint = "x"\noptional = ["int8"]', r"optional\[0\].*target:precision, found 'int8'"),
        ('checkpoint = "x"\nplans = 3', r"plans must be a path, found 3"),
        (
            'checkpoint = "x"\n[spans]\nbatch = [1, 2]',
            r"spans.batch must be three whole numbers.*found \[1, 2\]",
        ),
        ('checkpoint = "x"\n[spans]\nbatch = [1, 2, true]', r"spans.batch must be three whole numbers"),
        ('checkpoint = "x"\n[spans]\nbatch = [4, 2, 8]', r"must rise from at least 1, found 4, 2, 8"),
        ('checkpoint = "x"\n[spans]\nbatch = [0, 2, 8]', r"must rise from at least 1, found 0, 2, 8"),
        ('checkpoint = "x"\n[gates]\nmargins = 1', r"gates has the unknown field 'margins'.*'margin'"),
        ('checkpoint = "x"\n[gates]\nmargin = true', r"gates.margin must be a number, found True"),
        (
            'checkpoint = "x"\n[gates]\nmode = "reprt"',
            r"gates.mode must be .* found 'reprt'.*did you mean 'report'",
        ),
        ('checkpoint = "x"\n[gates]\nlatency = "of"', r"gates.latency must be 'judge' or 'report' or 'skip'"),
        (
            'checkpoint = "x"\n[gates]\nconfidence = 2',
            r"given.toml: gates: confidence must lie between .*found 2",
        ),
        (
            'checkpoint = "x"\n[gates]\nshapes = [1, 2]',
            r"gates.shapes\[0\] must be a list of 2 whole numbers",
        ),
        (
            'checkpoint = "x"\n[gates]\nshapes = [[1, 2, 3]]',
            r"gates.shapes\[0\] must be a list of 2 whole numbers",
        ),
        (
            'checkpoint = "x"\n[gates.limits.int8]\nagrement = 1',
            r"gates.limits.int8 has the unknown field 'agrement'.*'agreement'",
        ),
        (
            'checkpoint = "x"\n[gates.limits.int8]\nnoise = "of"',
            r"gates.limits.int8.noise must be a number, or 'off', found 'of'",
        ),
        (
            'checkpoint = "x"\n[gates.limits.int8]\nagreement = 98',
            r"gates.limits.int8: agreement must lie between 0 and 1, found 98",
        ),
        ('checkpoint = "x"\n[gates.limits.in8]\nagreement = 1', r"gates.limits 'in8'.*did you mean 'int8'"),
        (
            'checkpoint = "x"\n[gates.limits.int8]\nfaster_than = ["fp23"]',
            r"gates.limits.int8.faster_than 'fp23'; known: .*did you mean 'fp32'",
        ),
        (
            'checkpoint = "x"\n[gates.limits.int8]\nfaster_than = ["int8"]',
            r"gates.limits.int8.faster_than names int8 itself",
        ),
        (
            'checkpoint = "x"\n[gates.limits.int8]\nfaster_than = [3]',
            r"faster_than\[0\] must be text, found 3",
        ),
        ('checkpoint = "x"\n[gates.limits]\nint8 = 1', r"gates.limits.int8 must be a table, found 1"),
        ('checkpoint = "x"\n[gates]\nlimits = 1', r"gates.limits must be a table, found 1"),
        ('checkpoint = "x"\ngates = 3', r"gates must be a table, found 3"),
        ('checkpoint = "x"\nevaluation = "absent.jsonl"', r"no evaluation data at .*absent.jsonl"),
        ('checkpoint = "x"\nname = "a/b"', r"a release cannot be called 'a/b'"),
        ('checkpoint = "x"\nname = "con"', r"a release cannot be called 'con': Windows has a device"),
        (
            f'checkpoint = "x"\nname = "{"模" * 100}"',
            r"cannot be called .*: it has 300 bytes in UTF-8; at most 240 are allowed",
        ),
        ("checkpoint = ", r"given.toml is not a readable TOML file"),
        ("x = " + "[" * 100_000, "nested deeper than 64 levels"),
        ("checkpoint" + ".a" * 900 + " = 1", "nested deeper than 64 levels"),
        # The time for a key grows with the square of its parts
        ("checkpoint" + ".a" * 1001 + " = 1", "a line with more than 1,000 dots"),
        ("[gates]\nmargin = 1" + "0" * 5000, r"given.toml is not a readable TOML file"),
        ('checkpoint = "x"\n[gates]\nmargin = 1' + "0" * 400, r"margin must be .* that a float can hold"),
        (
            'checkpoint = "x"\n[gates.limits.int8]\nerror = 1' + "0" * 400,
            r"error must be a number that a float can hold, or 'off'",
        ),
        ("#" * (256 << 10) + "#", "has more than 262,144 bytes"),
    ],
)
def test_what_does_not_fit_is_named_with_file_and_key(folder: Path, text: str, message: str) -> None:
    with pytest.raises(UsageError, match=f"(?s){message}"):
        read(folder, text)


def test_an_absent_recipe_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"there is no recipe .*absent.toml"):
        recipe_toml.read(tmp_path / "absent.toml")


def test_the_digest_follows_content_and_not_places(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    here = read(folder, FULL)
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    for name in ("evaluation.jsonl", "calibration.jsonl"):
        (elsewhere / name).write_bytes((folder / name).read_bytes())
    assert read(elsewhere, FULL).digest == here.digest
    assert read(elsewhere, FULL.replace('"report"', '"enforce"')).digest == here.digest
    slower = replace(here.gates, speedup=2.0, latency="skip", seconds_per_shape=9.0)
    assert replace(here, gates=slower).digest == here.digest
    (elsewhere / "evaluation.jsonl").write_text('{"text": "another", "label": "b"}\n')
    changed = [
        read(elsewhere, FULL),
        replace(here, name="other"),
        replace(here, head=None),
        replace(here, spans={}),
        replace(here, calibration=None),
        replace(here, gates=replace(here.gates, margin=0.5)),
        replace(here, variants=(VariantName(target="other", precision="fp32"),)),
    ]
    assert len({here.digest, *(recipe.digest for recipe in changed)}) == len(changed) + 1


@pytest.mark.parametrize("path", sorted((ROOT / "recipes").glob("*.toml")), ids=lambda path: path.stem)
def test_the_recipes_of_the_repository_are_read(path: Path) -> None:
    recipe = recipe_toml.read(path)
    assert recipe.name == path.stem
    assert recipe.evaluation is not None
    assert recipe.calibration is not None
    assert recipe.head is not None
    assert recipe.head in recipe.evaluation.parts


def test_there_is_one_recipe_for_each_head_that_the_demo_has_data_for() -> None:
    recipe_heads = [recipe_toml.read(path).head for path in sorted((ROOT / "recipes").glob("*.toml"))]
    folders = [path.name for path in (ROOT / "validation" / "data").iterdir() if path.is_dir()]
    assert sorted(map(str, recipe_heads)) == sorted(folders)
    assert set(folders) <= set(heads.names())


def test_many_variants_are_not_each_compared_with_every_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """That took minutes for as many as fit into a recipe."""
    compared: list[object] = []
    monkeypatch.setattr(VariantName, "__eq__", lambda variant, other: bool(compared.append(other)))
    Recipe(name="a", checkpoint="b", variants=tuple(VariantName.parse(f"x:p{index}") for index in range(500)))
    assert len(compared) < 500
