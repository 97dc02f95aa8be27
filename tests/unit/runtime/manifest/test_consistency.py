"""A manifest beyond a limit, or that cannot be true, is refused: a hostile manifest for each line of the format."""

import json
from collections.abc import Callable
from dataclasses import replace
from math import inf, nan
from pathlib import Path

import pytest
from distilforge import limits
from distilforge.errors import ReleaseError
from distilforge.manifest import Manifest, Measurement, Span, Tensor, Verdict, Withheld, release_version
from distilforge.manifest.consistency import check_consistent
from distilforge.release import verify

from tests.runtime_release import GRAPH, LABELS, PASSED, copied, published, read_manifest

Change = Callable[[Manifest], Manifest]
FAILED = replace(PASSED[0], observed=3.0)
UNSETTLED = replace(PASSED[0], settled=False)


@pytest.fixture
def manifest() -> Manifest:
    return read_manifest(published("sequence_classification", LABELS["sequence_classification"]).release)


def refused(manifest: Manifest) -> str:
    """The message for `manifest`, which has the version of its files unless the change was to that."""
    with pytest.raises(ReleaseError) as raised:
        check_consistent(manifest, "manifest.json")
    assert len(str(raised.value)) < 1_500, "a message shows only the start of what a stranger wrote"
    return str(raised.value)


def with_version(manifest: Manifest) -> Manifest:
    return replace(manifest, version=release_version(manifest.files, manifest.provenance.recipe_sha256))


def with_file(manifest: Manifest, name: str, **changes: object) -> Manifest:
    record = replace(manifest.files[GRAPH], **changes)  # type: ignore[arg-type]
    return replace(manifest, files={**manifest.files, name: record})


def with_variant(manifest: Manifest, **changes: object) -> Manifest:
    return replace(manifest, variants=(replace(manifest.variants[0], **changes),))  # type: ignore[arg-type]


def with_span(manifest: Manifest, axis: str, low: int, usual: int, high: int) -> Manifest:
    return replace(manifest, spans={**manifest.spans, axis: Span(low=low, usual=usual, high=high)})


def with_input(manifest: Manifest, **changes: object) -> Manifest:
    first, *others = manifest.inputs
    return replace(manifest, inputs=(replace(first, **changes), *others))  # type: ignore[arg-type]


def measured(manifest: Manifest, **changes: object) -> Manifest:
    measurement = Measurement(subject="eager", batch=1, tokens=16, seconds=(0.25,))
    return with_variant(manifest, measurements=(replace(measurement, **changes),))  # type: ignore[arg-type]


def test_a_sound_manifest_is_accepted(manifest: Manifest) -> None:
    check_consistent(manifest, "manifest.json")


LIMITS: list[tuple[str, Change, str]] = [
    (
        "files",
        lambda sound: replace(
            sound, files={f"f{n}": sound.files[GRAPH] for n in range(limits.MOST_FILES + 1)}
        ),
        "it has 10,001 files; at most 10,000",
    ),
    (
        "size of a file",
        lambda sound: with_file(sound, "huge", bytes=limits.MOST_FILE_BYTES + 1),
        "'huge' has 1099",
    ),
    ("a negative size", lambda sound: with_file(sound, "less", bytes=-1), "'less' has -1 bytes; 0 to"),
    ("a size of many digits", lambda sound: with_file(sound, "digits", bytes=10**4000), "'digits' has 1000"),
    (
        "labels",
        lambda sound: replace(sound, labels=("x",) * (limits.MOST_LABELS + 1)),
        "it has 100,001 labels; at most 100,000",
    ),
    (
        "length of a label",
        lambda sound: replace(sound, labels=("x" * (limits.MOST_TEXT_CHARACTERS + 1),)),
        "has 10,001 characters; at most 10,000",
    ),
    (
        "variants",
        lambda sound: replace(
            sound,
            variants=tuple(
                replace(sound.variants[0], precision=f"p{n}") for n in range(limits.MOST_VARIANTS + 1)
            ),
        ),
        "it has 1,001 variants; at most 1,000",
    ),
    (
        "withheld variants",
        lambda sound: replace(
            sound, withheld=(Withheld(name="a:b", reason="c"),) * (limits.MOST_VARIANTS + 1)
        ),
        "it has 1,001 withheld variants",
    ),
    (
        "verdicts",
        lambda sound: with_variant(sound, verdicts=PASSED * (limits.MOST_ENTRIES + 1)),
        "has 1,001 verdicts; at most 1,000",
    ),
    (
        "settings",
        lambda sound: with_variant(sound, session={str(n): "" for n in range(limits.MOST_ENTRIES + 1)}),
        "has 1,001 settings; at most 1,000",
    ),
    (
        "files of a variant",
        lambda sound: with_variant(sound, files=(GRAPH,) * (limits.MOST_ENTRIES + 1)),
        "has 1,001 files; at most 1,000",
    ),
    (
        "length of a note",
        lambda sound: with_variant(sound, notes=("n" * (limits.MOST_TEXT_CHARACTERS + 1),)),
        "at most 10,000 are allowed",
    ),
    (
        "tools",
        lambda sound: replace(
            sound,
            provenance=replace(sound.provenance, tools={str(n): "" for n in range(limits.MOST_ENTRIES + 1)}),
        ),
        "it has 1,001 tools",
    ),
    ("length of the name", lambda sound: replace(sound, name="n" * 201), "has 201 characters; 1 to 200"),
    ("no name", lambda sound: replace(sound, name=""), "has 0 characters; 1 to 200"),
    ("length of the head", lambda sound: replace(sound, head="h" * 5_000), "has 5,000 characters; 1 to 200"),
    (
        "length of a target",
        lambda sound: with_variant(sound, target="t" * 201),
        "has 201 characters; 1 to 200",
    ),
    ("length of a dtype", lambda sound: with_input(sound, dtype="d" * 201), "has 201 characters; 1 to 200"),
    (
        "length of an axis",
        lambda sound: with_input(sound, shape=("batch", "a" * 201)),
        "has 201 characters; 1 to 200",
    ),
    (
        "inputs",
        lambda sound: replace(sound, inputs=sound.inputs * 9),
        "it has 18 inputs; at most 16",
    ),
    (
        "dimensions",
        lambda sound: with_input(sound, shape=("batch", "sequence", *(1,) * 15)),
        "'input_ids' has 17 dimensions; at most 16",
    ),
    (
        "spans",
        lambda sound: replace(sound, spans={f"s{n}": Span(low=1, usual=1, high=1) for n in range(17)}),
        "it has 17 spans; at most 16",
    ),
    (
        "end of a span",
        lambda sound: with_span(sound, "sequence", 1, 2, 2**40),
        "the span of 'sequence' goes to 1099511627776; at most 1,000,000",
    ),
    (
        "end of a span, of many digits",
        lambda sound: with_span(sound, "sequence", 1, 2, 10**4000),
        "the span of 'sequence' goes to 1000",
    ),
    (
        "start of a span, of many digits",
        lambda sound: with_span(sound, "sequence", 10**4000, 2, 8),
        "the span of 'sequence' is 1000",
    ),
    (
        "tokens of the smallest batch",
        lambda sound: with_span(with_span(sound, "batch", 1001, 1001, 1001), "sequence", 1000, 1000, 1000),
        "has 1,001,000 tokens; at most 1,000,000",
    ),
    (
        "a dimension",
        lambda sound: with_input(sound, shape=("batch", "sequence", 1_000_001)),
        "'input_ids' has a dimension of 1000001; it must be 1 to 1,000,000",
    ),
    (
        "runs of a measurement",
        lambda sound: measured(sound, seconds=(0.5,) * (limits.MOST_SAMPLES + 1)),
        "has 1,000,001 runs; at most 1,000,000",
    ),
    *(
        (
            f"seconds {seconds}",
            lambda sound, seconds=seconds: measured(sound, seconds=seconds),
            "seconds; 0, or 1e-09 to 1,000,000, are allowed",
        )
        for seconds in ((-1.0,), (inf,), (nan,), (1.0, nan), (nan, 1.0), (1e-12,), (1e7,))
    ),
    ("batch of a measurement", lambda sound: measured(sound, batch=0), "has the size 0; 1 to 1,000,000"),
]


@pytest.mark.parametrize(
    ("change", "message"), [entry[1:] for entry in LIMITS], ids=[entry[0] for entry in LIMITS]
)
def test_a_limit(manifest: Manifest, change: Change, message: str) -> None:
    assert message in refused(with_version(change(manifest)))


@pytest.mark.parametrize(
    "name",
    [
        "../model.onnx",
        "onnx/../../model.onnx",
        "/etc/passwd",
        "onnx//model.onnx",
        "./onnx/model.onnx",
        "onnx/",
        "onnx\\model.onnx",
        "C:/model.onnx",
        "",
        "model\0",
        "model\n",
        "model\x1b[2J",
        "model\ud800",
    ],
)
def test_a_path_that_is_not_plain(manifest: Manifest, name: str) -> None:
    assert f"lists the path {name!r}" in refused(with_file(manifest, name))


@pytest.mark.parametrize(
    "name", ["NUL", "a/con.onnx", "Com1.json", "lpt9", "config.json.", "a /b", "b. ", "..."]
)
def test_a_path_that_is_another_file_on_windows(manifest: Manifest, name: str) -> None:
    assert "is another file on Windows" in refused(with_file(manifest, name))


@pytest.mark.parametrize("name", ["nullable", "com10", "a/console.onnx", "NULs.json", ".hidden", "a b.c"])
def test_similar_paths_are_accepted(manifest: Manifest, name: str) -> None:
    check_consistent(with_version(with_file(manifest, name)), "manifest.json")


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("Config.JSON", "config.json"),
        ("MANIFEST.json", "manifest.json"),
        ("Model.sig", "model.sig"),
        ("ONNX/model.onnx", "onnx/model.onnx"),
    ],
)
def test_paths_that_differ_in_case_alone(manifest: Manifest, name: str, other: str) -> None:
    assert f"lists {name!r}, which some file systems take for {other!r}" in refused(with_file(manifest, name))


def test_paths_that_differ_in_composition_alone(manifest: Manifest) -> None:
    both = with_file(with_file(manifest, "caf\u00e9"), "CAFE\u0301")
    assert "which some file systems take for 'café'" in refused(both)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a" * 256, "longest name has 256 bytes"),
        ("ä" * 128, "longest name has 256 bytes"),
        ("/".join("abc" * 5 for _ in range(17)), "17 names"),
        ("/".join("a" * 255 for _ in range(5)), "has 1279 bytes"),
    ],
)
def test_a_path_that_is_too_long(manifest: Manifest, name: str, message: str) -> None:
    assert message in refused(with_file(manifest, name))


def test_the_longest_paths_are_accepted(manifest: Manifest) -> None:
    names = ("a" * 255, "/".join("a" * 16)[: 2 * 16 - 1], "/".join("a" * 203 for _ in range(5)))
    for name in names:
        manifest = with_file(manifest, name)
    check_consistent(with_version(manifest), "manifest.json")


CONTRADICTIONS: list[tuple[str, Change, str]] = [
    ("a schema before the first", lambda sound: replace(sound, schema=0), "its schema is 0"),
    ("no variants", lambda sound: replace(sound, variants=()), "it has no variants"),
    ("a variant twice", lambda sound: replace(sound, variants=sound.variants * 2), "is there 2 times"),
    (
        "a version of a tool with a line of its own",
        lambda sound: replace(
            sound, provenance=replace(sound.provenance, tools={"numpy": "2.4\n--find-links ./evil"})
        ),
        r"its tools have 'numpy' in version '2.4\n--find-links ./evil'",
    ),
    (
        "a name of a tool that no package has",
        lambda sound: replace(sound, provenance=replace(sound.provenance, tools={"num py": "2.4"})),
        "its tools have 'num py'",
    ),
    *(
        (f"the name {name!r}", lambda sound, name=name: replace(sound, name=name), "no release can be called")
        for name in (
            "../../escaped",
            "/etc/release",
            '"""\nimport os\n"""',
            "x\nRequires-Dist: evil",
            "x'y",
            "$(id)",
            "`id`",
            "a;b",
            "\x1b[2J",
            "a\u202eb",
            "..",
            "-rf",
            " x",
            "x.",
        )
    ),
    (
        "a precision with a line of its own",
        lambda sound: with_variant(sound, precision="fp32\n#"),
        "no target or precision is called",
    ),
    ("a variant without files", lambda sound: with_variant(sound, files=()), "has no files"),
    (
        "a file that is not listed",
        lambda sound: with_variant(sound, files=(GRAPH, "onnx/other")),
        "'onnx/other' of the variant",
    ),
    (
        "a file that the version does not cover",
        lambda sound: with_variant(
            with_file(sound, "validation/model.onnx"), files=("validation/model.onnx",)
        ),
        "describes the release and cannot be run",
    ),
    (
        "an oracle of another variant",
        lambda sound: with_variant(sound, oracle="tokenizer.json"),
        "the oracle 'tokenizer.json' of the variant",
    ),
    (
        "a check that failed",
        lambda sound: with_variant(sound, verdicts=(*PASSED, FAILED)),
        "is called validated, and the check 'outputs that are not finite' failed",
    ),
    (
        "a check that is NaN",
        lambda sound: with_variant(sound, verdicts=(replace(FAILED, observed=float("nan")),)),
        "is called validated, and the check",
    ),
    ("no check", lambda sound: with_variant(sound, verdicts=()), "is called validated, and no check was met"),
    (
        "no check that is settled",
        lambda sound: with_variant(sound, verdicts=(UNSETTLED,)),
        "is called validated, and no check was met",
    ),
    (
        "a span that falls",
        lambda sound: with_span(sound, "batch", 1, 99, 8),
        "the span of 'batch' is 1, 99, 8",
    ),
    ("a span from 0", lambda sound: with_span(sound, "batch", 0, 1, 8), "the span of 'batch' is 0, 1, 8"),
    (
        "an axis without a span",
        lambda sound: replace(sound, spans={"sequence": sound.spans["sequence"]}),
        "the axis 'batch' of the input 'input_ids' has no span",
    ),
    (
        "no batch",
        lambda sound: replace(
            sound, inputs=tuple(replace(tensor, shape=(1, "sequence")) for tensor in sound.inputs)
        ),
        "no input has the axis 'batch'",
    ),
    ("no inputs", lambda sound: replace(sound, inputs=()), "no input has the axis 'batch'"),
    (
        "an unknown dtype",
        lambda sound: with_input(sound, dtype="hnt64"),
        "'input_ids' has the dtype 'hnt64'; known",
    ),
    ("objects", lambda sound: with_input(sound, dtype="object"), "'input_ids' has the dtype 'object'; known"),
    ("a dimension of 0", lambda sound: with_input(sound, shape=("batch", "sequence", 0)), "a dimension of 0"),
    (
        "two inputs of one name",
        lambda sound: with_input(sound, name="attention_mask"),
        "two inputs have one name",
    ),
    (
        "an unknown problem type",
        lambda sound: replace(sound, problem_type="guess"),
        "its problem_type is 'guess'",
    ),
    ("a digest in capitals", lambda sound: with_file(sound, "a", sha256="A" * 64), "the record of 'a'"),
    ("the manifest itself", lambda sound: with_file(sound, "manifest.json"), "it lists 'manifest.json'"),
    ("a signature", lambda sound: with_file(sound, "model.sig"), "it lists 'model.sig'"),
    (
        "a recipe without a digest",
        lambda sound: replace(sound, provenance=replace(sound.provenance, recipe_sha256="x\ud800")),
        "the recipe_sha256 of its provenance",
    ),
]


@pytest.mark.parametrize(
    ("change", "message"), [entry[1:] for entry in CONTRADICTIONS], ids=[entry[0] for entry in CONTRADICTIONS]
)
def test_a_contradiction(manifest: Manifest, change: Change, message: str) -> None:
    text = refused(change(manifest))
    assert "contradicts itself: " in text
    assert message in text


@pytest.mark.parametrize("name", ["sentiment", "My model (v2)", "stimmung_ä-1.0", "x", "a@b+c=d,e", "模型"])
def test_names_that_releases_may_have(manifest: Manifest, name: str) -> None:
    check_consistent(replace(manifest, name=name), "manifest.json")


@pytest.mark.parametrize("verdicts", [(*PASSED, UNSETTLED), PASSED])
def test_a_check_that_is_not_settled_is_not_a_failure(
    manifest: Manifest, verdicts: tuple[Verdict, ...]
) -> None:
    check_consistent(with_variant(manifest, verdicts=verdicts), "manifest.json")


def test_what_is_not_called_validated_may_have_any_verdicts(manifest: Manifest) -> None:
    for verdicts in ((), (FAILED,), PASSED):
        check_consistent(with_variant(manifest, validated=False, verdicts=verdicts), "manifest.json")


@pytest.mark.parametrize("version", ["000000000000", "latest", "0123456789ab"])
def test_a_version_that_is_not_the_digest(manifest: Manifest, version: str) -> None:
    message = refused(replace(manifest, version=version))
    assert (
        f"has the version {version!r}, which is not the digest of what it lists: that is {manifest.version!r}"
        in message
    )
    assert "hint: copy the release again" in message


def test_a_record_that_was_changed_changes_the_version(manifest: Manifest) -> None:
    assert "is not the digest" in refused(with_file(manifest, GRAPH, sha256="0" * 64))
    assert "is not the digest" in refused(with_file(manifest, "onnx/more"))


def test_a_folder_of_another_name_is_accepted(tmp_path: Path) -> None:
    """People rename what they copy; the version is in the manifest."""
    folder = copied("sequence_classification", tmp_path / "a name of my own")
    assert verify(folder).version == json.loads((folder / "manifest.json").read_text())["version"]


def test_output_axes_need_no_span(manifest: Manifest) -> None:
    outputs = (Tensor(name="logits", dtype="float32", shape=("batch", "sequence - 2")),)
    check_consistent(replace(manifest, outputs=outputs), "manifest.json")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("onnx/extra", "onnx/extra/weights"), "lists 'onnx/extra/weights', and 'onnx/extra' as a file"),
        (
            ("onnx/extra/a/b/weights", "ONNX/Extra"),
            "lists 'onnx/extra/a/b/weights', and 'ONNX/Extra' as a file",
        ),
        (("manifest.json/weights",), "lists 'manifest.json/weights', and 'manifest.json' as a file"),
    ],
)
def test_a_file_that_is_a_folder_of_another_one(
    manifest: Manifest, names: tuple[str, ...], message: str
) -> None:
    for name in names:
        manifest = with_file(manifest, name)
    assert message in refused(manifest)
