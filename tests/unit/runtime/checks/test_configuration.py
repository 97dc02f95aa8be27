"""A manifest that says what config.json does not is refused, by `verify` and by `open`, with both values."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import distilforge
import pytest
from distilforge.checks.configuration import check_configuration
from distilforge.errors import ReleaseError
from distilforge.heads import heads
from distilforge.manifest import Manifest, Span, Tensor
from distilforge.manifest.configuration import ModelConfiguration
from distilforge.release import verify

from model_src import heads as model_heads
from tests.runtime_release import LABELS, copied, published, read_manifest, record_again, write_manifest

Change = Callable[[Manifest], Manifest]
HEAD = "sequence_classification"
NAMES = LABELS[HEAD]


def change_config(release: Path, **values: object) -> None:
    path = release / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))
    record_again(release)


def refused(release: Path) -> str:
    """The message of `verify` and of `open`, which must be the same."""
    with pytest.raises(ReleaseError) as verified:
        verify(release)
    with pytest.raises(ReleaseError) as opened:
        distilforge.open(release, allow_unvalidated=True)
    assert str(verified.value) == str(opened.value)
    return str(verified.value)


def logits(*shape: int | str) -> tuple[Tensor, ...]:
    return (Tensor(name="logits", dtype="float32", shape=shape),)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda sound: replace(sound, labels=sound.labels[::-1]),
            "its label 0 is 'positive', and that of config.json is 'negative'",
        ),
        (lambda sound: replace(sound, labels=sound.labels[:1]), "it has 1 labels, and config.json has 3"),
        (lambda sound: replace(sound, labels=()), "it has 0 labels, and config.json has 3"),
        (
            lambda sound: replace(sound, labels=("negatiwe", *sound.labels[1:])),
            "its label 0 is 'negatiwe', and that of config.json is 'negative'",
        ),
        (
            lambda sound: replace(sound, problem_type="regression"),
            "it has the problem_type 'regression', and config.json None",
        ),
        (
            lambda sound: replace(sound, head="token_classification"),
            "the head 'token_classification' is 'DistilBertForTokenClassification', and config.json has the "
            "architectures 'DistilBertForSequenceClassification'",
        ),
        (lambda sound: replace(sound, head="features"), "the head 'features' is 'DistilBertModel'"),
        (
            lambda sound: replace(sound, outputs=(replace(sound.outputs[0], name="scores"),)),
            "needs the output 'logits', found 'scores'",
        ),
        (
            lambda sound: replace(sound, outputs=logits("batch", 2)),
            "the output 'logits' has the shape (batch, 2), and the head's is (batch, 3)",
        ),
        (lambda sound: replace(sound, outputs=logits("batch", "labels")), "the head's is (batch, 3)"),
        (lambda sound: replace(sound, outputs=logits("batch", "sequence", 3)), "the head's is (batch, 3)"),
        (
            lambda sound: replace(sound, spans={**sound.spans, "sequence": Span(low=1, usual=2, high=65)}),
            "the span of 'sequence' goes to 65 tokens, and max_position_embeddings is 64",
        ),
    ],
)
def test_a_manifest_that_does_not_fit(release: Path, change: Change, message: str) -> None:
    write_manifest(release, change(read_manifest(release)))
    assert message in refused(release)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"id2label": {"0": "bad", "1": "good"}}, "it has 3 labels, and config.json has 2"),
        ({"id2label": dict(zip("012", NAMES[::-1], strict=True))}, "its label 0 is 'negative'"),
        ({"id2label": None, "num_labels": 4}, "it has 3 labels, and config.json has 4"),
        ({"id2label": None, "num_labels": None}, "it has 3 labels, and config.json has 2"),
        ({"problem_type": "regression"}, "it has the problem_type None, and config.json 'regression'"),
        ({"architectures": ["DistilBertModel"]}, "config.json has the architectures 'DistilBertModel'"),
        ({"architectures": []}, "config.json has the architectures ''"),
        ({"max_position_embeddings": 32}, "goes to 64 tokens, and max_position_embeddings is 32"),
        ({"id2label": {"0": "a", "2": "b"}}, "id2label has 2 labels, and none with the id 1"),
        ({"id2label": {}}, "the number of labels in id2label must be 1 to 100,000, found 0"),
        ({"id2label": None, "num_labels": 10**8}, "num_labels must be 1 to 100,000, found 100000000"),
        ({"id2label": ["a"]}, "id2label must be an object"),
        ({"vocab_size": 0}, "vocab_size must be 1 to 10,000,000, found 0"),
        ({"vocab_size": 10**4000}, "vocab_size must be 1 to 10,000,000, found 1000"),
        ({"max_position_embeddings": 10**12}, "max_position_embeddings must be 1 to 1,000,000"),
    ],
)
def test_a_configuration_that_does_not_fit(release: Path, values: Mapping[str, object], message: str) -> None:
    change_config(release, **values)
    assert message in refused(release)


def test_a_release_of_choices_without_their_span(tmp_path: Path) -> None:
    release = copied("multiple_choice", tmp_path / "release")
    sound = read_manifest(release)
    spans = {axis: span for axis, span in sound.spans.items() if axis != "choices"}
    inputs = tuple(replace(tensor, shape=("batch", 3, "sequence")) for tensor in sound.inputs)
    write_manifest(release, replace(sound, spans=spans, inputs=inputs))
    assert "the head 'multiple_choice' needs a span of 'choices'" in refused(release)


def test_a_head_that_does_not_use_labels_may_leave_them_out(tmp_path: Path) -> None:
    """Releases of some heads have the checkpoint's labels, and others have none."""
    release = copied("features", tmp_path / "release")
    assert read_manifest(release).labels == ("LABEL_0", "LABEL_1")
    write_manifest(release, replace(read_manifest(release), labels=()))
    verify(release)
    change_config(release, problem_type="regression")
    distilforge.open(release)


def test_labels_without_names_have_their_numbers() -> None:
    assert ModelConfiguration(vocab_size=1).labels == ("LABEL_0", "LABEL_1")
    assert ModelConfiguration(vocab_size=1, num_labels=3).labels == ("LABEL_0", "LABEL_1", "LABEL_2")


def test_many_labels_are_in_the_order_of_their_ids() -> None:
    named = {str(index): f"label {index}" for index in range(12)}
    assert ModelConfiguration(vocab_size=1, id2label=named).labels[9:] == ("label 9", "label 10", "label 11")


@pytest.mark.parametrize(("size", "fits"), [(2, True), ("anything", False), ("batch", False)])
def test_a_head_may_have_an_axis_whose_size_only_the_graph_fixes(size: int | str, fits: bool) -> None:
    release = published(HEAD, NAMES).release
    manifest = replace(read_manifest(release), outputs=logits("batch", size))
    configuration = ModelConfiguration.from_json((release / "config.json").read_text(), "config.json")

    def check() -> None:
        check_configuration(
            manifest, configuration, "it", architecture="", output_axes={"logits": ("batch", "scores")}
        )

    if fits:
        check()
    else:
        with pytest.raises(
            ReleaseError, match=rf"shape \(batch, {size}\), and the head's is \(batch, scores\)"
        ):
            check()


@pytest.mark.parametrize("name", model_heads.names())
def test_a_head_has_the_class_and_outputs_of_its_model(name: str) -> None:
    model, session_class = model_heads.find(name), heads.get(name)
    assert session_class is not None
    assert session_class.architecture == model.architecture
    assert session_class.output_axes == model.output_axes
