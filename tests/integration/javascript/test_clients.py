"""JavaScript clients read a release unchanged, and their answers are those of the runtime."""

import json
from dataclasses import asdict
from pathlib import Path

import distilforge
import numpy as np
import pytest
from distilforge.release import read_manifest

from pipeline.packages.assembly import examples
from pipeline.packages.base import PackageOptions, PackageRequest
from tests.conftest import DEMO_HEADS
from tests.integration.javascript.clients import needs_browser, needs_clients, node
from tests.integration.pipeline.packages.packaging import random_release

pytestmark = [needs_clients, needs_browser]

# float32 kernels that add in another order differ by about 3e-5; a wrong mask or weight changes outputs by more
TOLERANCE = 1e-3


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with the examples of a small release of each head."""
    values = []
    for head in DEMO_HEADS:
        release = random_release(head)
        manifest = read_manifest(release)
        (variant,) = manifest.variants
        request = PackageRequest(
            release=release, manifest=manifest, variant=variant, reason="", options=PackageOptions()
        )
        made = asdict(examples.make(request))
        values.append({"name": head, "head": head, "folder": f"{release}/", "examples": made["examples"]})
    path = tmp_path_factory.mktemp("clients") / "cases.json"
    path.write_text(json.dumps(values))
    return path


@pytest.mark.parametrize(
    "client", ["transformers-node", "transformers-chromium", "onnxruntime-node", "onnxruntime-web"]
)
def test_outputs_are_those_of_the_runtime(client: str, cases: Path) -> None:
    answers = node("answers.mjs", client, cases)
    assert isinstance(answers, dict)
    # transformers.js does not have a class for multiple choice
    heads = {*DEMO_HEADS} - ({"multiple_choice"} if client.startswith("transformers") else set())
    assert set(answers) == heads
    for case in json.loads(cases.read_text()):
        for observed, example in zip(answers.get(case["name"], []), case["examples"], strict=False):
            if "ids" in observed:
                assert observed["ids"] == np.array(example["feeds"]["input_ids"]).ravel().tolist()
            for name, expected in example["outputs"].items():
                array = np.array(observed["outputs"][name])[:: expected["stride"]]
                np.testing.assert_allclose(array, expected["values"], rtol=0, atol=TOLERANCE, err_msg=name)


def test_pipelines_of_transformers_js_answer_as_the_runtime_does(cases: Path) -> None:
    answers = node("answers.mjs", "transformers-node", cases)
    assert isinstance(answers, dict)
    values = {case["name"]: case for case in json.loads(cases.read_text())}

    (classified, *_) = answers["sequence_classification"]
    (expected, *_) = values["sequence_classification"]["examples"]
    best = expected["answer"]["labels"][0]
    assert classified["pipeline"][0]["label"] == best["label"]
    assert classified["pipeline"][0]["score"] == pytest.approx(best["score"], abs=TOLERANCE)

    (filled, *_) = answers["masked_lm"]
    fills = values["masked_lm"]["examples"][0]["answer"][0]["fills"]
    assert [fill["token"] for fill in filled["pipeline"]] == [fill["token"] for fill in fills]

    (tagged, *_) = answers["token_classification"]
    text = values["token_classification"]["examples"][0]["input"]
    entities = distilforge.open(random_release("token_classification"), threads=1)(
        [text], aggregation="none"
    )[0]
    assert [token["entity"] for token in tagged["pipeline"]] == [entity.label for entity in entities]

    (embedded, *_) = answers["features"]
    embedding = values["features"]["examples"][0]["answer"]
    np.testing.assert_allclose(embedded["pipeline"], embedding, rtol=0, atol=TOLERANCE)
