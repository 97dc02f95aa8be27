"""From a checkpoint to a release, for every head, with the calls of the command line."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import distilforge
import jsonschema
import numpy as np
import pytest
import torch
import transformers
from distilforge.release import resolve, verify

from model_src import heads
from pipeline.build import build
from pipeline.errors import GateError
from pipeline.recipe.recipe import Recipe
from tests.conftest import TRANSFORMERS_HEADS, MakeCheckpoint
from tests.integration.conftest import QUICK, Listener, Release, prepare_export, write_evaluation
from validation.gates import Limits

ROOT = Path(__file__).parents[2]
LAYOUT = {
    "manifest.json",
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.txt",
    "onnx/model.onnx",
    "validation/report.json",
    "validation/report.html",
    "README.md",
    "sbom.cdx.json",
}

every_head = pytest.mark.parametrize("head", heads.names())
ReleaseOf = Callable[[str], Release]


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def ragged(head: str) -> tuple[torch.Tensor, torch.Tensor]:
    shape = (3, 4, 9) if head == "multiple_choice" else (3, 9)
    ids = torch.randint(5, 80, shape)
    lengths = torch.randint(1, 10, shape[:-1])
    return ids, (torch.arange(9) < lengths[..., None]).long()


@pytest.mark.parametrize("head", TRANSFORMERS_HEADS)
def test_the_release_is_whole_and_opens_and_agrees_with_transformers(
    head: str, release_of: ReleaseOf
) -> None:
    release = release_of(head)
    assert files(release.folder) == LAYOUT
    assert resolve(release.artifacts / head) == release.folder.resolve()
    manifest = verify(release.folder)
    assert set(manifest.files) == LAYOUT - {"manifest.json"}
    assert (manifest.name, manifest.head, manifest.validated) == (head, head, True)
    assert release.folder.name == manifest.version

    session = distilforge.open(release.folder, threads=1)
    model = getattr(transformers, heads.find(head).architecture).from_pretrained(release.checkpoint).eval()
    ids, mask = ragged(head)
    with torch.no_grad():
        expected = model(ids, attention_mask=mask)
    answers = session.run({"input_ids": ids.numpy(), "attention_mask": mask.numpy()})
    assert set(answers) == set(heads.find(head).output_axes)
    for name, array in answers.items():
        np.testing.assert_allclose(array, expected[name].numpy(), rtol=0, atol=1e-4)


@every_head
def test_the_manifest_fits_its_schema(head: str, release_of: ReleaseOf) -> None:
    schema = json.loads((ROOT / "runtime" / "distilforge" / "manifest.schema.json").read_text())
    manifest = json.loads((release_of(head).folder / "manifest.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(manifest)


@every_head
def test_transformers_reads_the_configuration_and_the_tokenizer(head: str, release_of: ReleaseOf) -> None:
    release = release_of(head)
    config = transformers.AutoConfig.from_pretrained(release.folder)
    assert config.model_type == "distilbert"
    assert config.architectures == [heads.find(head).architecture]
    written = json.loads((release.folder / "config.json").read_text())
    sizes = (config.dim, config.n_layers, config.n_heads)
    assert sizes == (written["dim"], written["n_layers"], written["n_heads"])
    # text-embeddings-inference knows the sizes by these names only
    assert sizes == (written["hidden_size"], written["num_hidden_layers"], written["num_attention_heads"])
    original = transformers.AutoTokenizer.from_pretrained(release.checkpoint)
    published = transformers.AutoTokenizer.from_pretrained(release.folder)
    for text in ("The movie was great!", "what city, when?", "zzz ###"):
        assert published(text)["input_ids"] == original(text)["input_ids"]


def test_nothing_of_this_machine_is_in_what_is_deployed(release_of: ReleaseOf) -> None:
    release = release_of("masked_lm")
    for name in LAYOUT - {"validation/report.html"}:
        content = (release.folder / name).read_bytes()
        assert str(release.checkpoint.parent).encode() not in content, name
        assert str(ROOT).encode() not in content, name


def test_provenance_names_checkpoint_recipe_tools_and_host(release_of: ReleaseOf) -> None:
    release = release_of("features")
    made = verify(release.folder).provenance
    assert made.recipe_sha256 == release.recipe.digest
    assert len(made.checkpoint_sha256) == 64
    assert made.tools["torch"] == torch.__version__
    assert "cores" in made.host
    assert made.git_commit


def test_the_model_card_says_what_it_is_how_good_and_how_to_load_it(release_of: ReleaseOf) -> None:
    card = (release_of("question_answering").folder / "README.md").read_text()
    for part in (
        "question_answering",
        "largest error on generated inputs",
        "texts with other token ids than transformers 4.57.6, of 2,000",
        "distilforge.open",
        "onnx/model.onnx",
        "ORTModelForQuestionAnswering",
        "start_logits, end_logits",
    ):
        assert part in card
    assert "ORTModelForFeatureExtraction" in (release_of("features").folder / "README.md").read_text()


def test_a_second_build_does_no_work(release_of: ReleaseOf) -> None:
    release = release_of("token_classification")
    listener = Listener()
    again = build(release.recipe, release.artifacts, listener)
    assert again.folder == release.folder
    assert not again.new
    assert listener.worked == []
    assert listener.reused == ["export", "compile", "assemble", "tokens", "compare", "validate", "publish"]


def test_only_the_stages_that_depend_on_a_change_run_again(tiny: Recipe, tmp_path: Path) -> None:
    artifacts = tmp_path / "artifacts"
    prepare_export(tiny, artifacts)
    first = build(tiny, artifacts, Listener())

    listener = Listener()
    renamed = build(replace(tiny, name="renamed"), artifacts, listener)
    assert listener.worked == ["assemble", "compare", "validate", "publish"]
    assert renamed.folder.parent.name == "renamed"

    listener = Listener()
    stricter = build(replace(tiny, gates=replace(tiny.gates, margin=0.4)), artifacts, listener)
    assert listener.worked == ["assemble", "compare", "validate", "publish"]
    assert stricter.folder != first.folder

    (stage,) = [path for path in (artifacts / ".work" / "export").iterdir() if path.is_dir()]
    graph = stage / "files" / "model.onnx"
    graph.write_bytes(graph.read_bytes()[:-1] + b"\0")
    listener = Listener()
    # Exports are reproducible to the byte, so the stages after the export need not run again
    repaired = build(tiny, artifacts, listener)
    assert listener.worked == ["export"]
    assert repaired.folder == first.folder
    assert any("damaged" in note for note in listener.notes)


def test_a_gate_that_fails_publishes_nothing_unless_asked_to_report(tiny: Recipe, tmp_path: Path) -> None:
    artifacts = tmp_path / "artifacts"
    prepare_export(tiny, artifacts)
    strict = replace(tiny, gates=replace(tiny.gates, limits={"fp32": Limits(error=1e-12)}))
    with pytest.raises(GateError) as caught:
        build(strict, artifacts, Listener())
    assert "largest error on generated inputs is" in caught.value.message
    assert "must be at most 1e-12 absolute" in caught.value.message
    assert not (artifacts / "tiny").exists()

    reported = build(
        replace(strict, gates=replace(strict.gates, mode="report")), artifacts, listener := Listener()
    )
    assert listener.worked == ["publish"]
    manifest = verify(reported.folder)
    assert not manifest.validated
    assert [verdict.check for verdict in manifest.variants[0].verdicts if not verdict]
    assert "**Not validated.**" in (reported.folder / "README.md").read_text()
    with pytest.raises(distilforge.ReleaseError):
        distilforge.open(reported.folder)
    distilforge.open(reported.folder, allow_unvalidated=True)
    with pytest.raises(GateError):
        build(strict, artifacts, Listener())


def test_a_head_can_be_chosen_by_hand(make_checkpoint: MakeCheckpoint, tmp_path: Path) -> None:
    checkpoint = make_checkpoint("masked_lm", n_layers=1)
    evaluation = write_evaluation("features", tmp_path)
    recipe = Recipe(
        name="chosen", checkpoint=str(checkpoint), head="features", evaluation=evaluation, gates=QUICK
    )
    built = build(recipe, tmp_path / "artifacts", Listener())
    assert verify(built.folder).head == "features"
    config = json.loads((built.folder / "config.json").read_text())
    assert config["architectures"] == ["DistilBertModel"]


def test_a_build_times_every_variant_beside_eager_and_says_whether_that_is_settled(
    tiny: Recipe, tmp_path: Path
) -> None:
    timed = replace(tiny, gates=replace(tiny.gates, latency="judge", shapes=((1, 8),), seconds_per_shape=0.5))
    prepare_export(timed, tmp_path / "artifacts")
    built = build(timed, tmp_path / "artifacts", listener := Listener())
    assert "time" in listener.worked
    manifest = verify(built.folder)
    assert manifest.timing is not None
    assert manifest.timing.rounds >= 5
    (variant,) = manifest.variants
    assert [taken.subject for taken in variant.measurements] == ["eager", variant.name]
    for taken in variant.measurements:
        assert (taken.batch, taken.tokens, len(taken.rounds)) == (1, 8, manifest.timing.rounds)
        assert min(taken.seconds) > 0
    card = (built.folder / "README.md").read_text()
    assert ("**Not settled.**" in card) == (not manifest.timing.steady)
    assert ("times as fast" in card) == manifest.timing.steady
    # Only a steady timing is used again
    build(timed, tmp_path / "artifacts", listener := Listener())
    assert ("time" in listener.reused) == manifest.timing.steady
    assert "compare" in listener.reused
