"""Packages for browsers and for Node.js answer as the runtime does, in the real clients."""

import json
import shutil
from pathlib import Path

import distilforge
import pytest

from pipeline.packages.assembly import testing
from pipeline.packages.assembly.build import Package
from tests.conftest import DEMO_HEADS
from tests.integration.javascript.clients import MODULES, needs_browser, needs_clients, node, run
from tests.integration.pipeline.packages.packaging import make, random_release
from tests.runtime_release import copied, record_again

pytestmark = needs_clients

FIELDS = {
    "features": {"text": "good film", "others": "a great movie\nthe river in the city"},
    "masked_lm": {"text": "the [MASK] was good"},
    "multiple_choice": {"context": "the oven", "options": "open the door\nmake bread\nread"},
    "question_answering": {"question": "what was good", "context": "the food in this hotel was good"},
    "sequence_classification": {"text": "The food was GREAT, and the room was clean!"},
    "token_classification": {"text": "The king lived in a city by the river, naïve and unread."},
}


def shown_first(head: str, release: Path) -> tuple[str, str]:
    """The name and value of the first row that the page of `head` must show, from the runtime's answer."""
    session = distilforge.open(release, threads=1)
    assert callable(session)
    texts = FIELDS[head]
    if head == "features":
        first, *others = (session(text) for text in (texts["text"], *texts["others"].split("\n")))
        cosines = [float(first @ other / ((first @ first) * (other @ other)) ** 0.5) for other in others]
        best = max(range(len(others)), key=cosines.__getitem__)
        return texts["others"].split("\n")[best], f"{cosines[best]:.3f}"
    if head == "masked_lm":
        fill = session(texts["text"])[0].fills[0]
        return fill.text, f"{100 * fill.score:.1f} %"
    if head == "multiple_choice":
        chosen = session((texts["context"], texts["options"].split("\n")))
        return chosen.text, f"{100 * chosen.score:.1f} %"
    if head == "question_answering":
        return "Confidence", f"{100 * session((texts['question'], texts['context'])).score:.1f} %"
    if head == "sequence_classification":
        answer = session(texts["text"])
        return answer.label, f"{100 * answer.score:.1f} %"
    entity = session(texts["text"])[0]
    return f"{entity.text} · {entity.label}", f"{100 * entity.score:.1f} %"


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Package]:
    """A package for browsers of a small release of each head."""
    root = tmp_path_factory.mktemp("web")
    return {head: make("web", random_release(head), root / head) for head in DEMO_HEADS}


@needs_browser
@pytest.mark.parametrize("head", DEMO_HEADS)
def test_the_page_answers_without_a_network(head: str, web: dict[str, Package]) -> None:
    result = testing.run(web[head].record, web[head].folder)
    assert result.examples == 2
    shown = node("page.mjs", web[head].folder, json.dumps(FIELDS[head]))
    assert isinstance(shown, dict)
    name, value = shown_first(head, random_release(head))
    assert shown["rows"][0][0].replace("\u00a0", " ") == name
    unit = 0.1 if value.endswith("%") else 0.001
    # Both are rounded to the unit, and may fall to either side of it
    assert float(shown["rows"][0][1].split()[0]) == pytest.approx(float(value.split()[0]), abs=1.01 * unit)
    assert shown["problems"] == []
    assert shown["refused"] == "Please fill in every field."
    assert shown["unlabelled"] == 0
    assert shown["overflow"] == 0


@needs_browser
def test_the_page_says_that_its_model_is_missing(web: dict[str, Package], tmp_path: Path) -> None:
    folder = shutil.copytree(web["sequence_classification"].folder, tmp_path / "package")
    (folder / "model" / "onnx" / "model.onnx").unlink()
    shown = node("page.mjs", folder, "null")
    assert isinstance(shown, dict)
    assert "The model could not be loaded." in shown["failure"]
    assert "model.onnx" in shown["failure"]


@pytest.mark.parametrize("head", DEMO_HEADS)
def test_the_node_package_answers_as_the_runtime_does(head: str, tmp_path: Path) -> None:
    package = make("node", random_release(head), tmp_path / "package")
    (package.folder / "node_modules").symlink_to(MODULES)
    assert testing.run(package.record, package.folder).examples == 2


def test_npm_installs_the_node_package_and_two_lines_answer(tmp_path: Path) -> None:
    head = "sequence_classification"
    package = make("node", random_release(head), tmp_path / "package")
    (archive,) = json.loads(run("npm", "pack", "--json", folder=package.folder))
    project = tmp_path / "project"
    project.mkdir()
    name = archive["name"]
    (project / "package.json").write_text('{"private": true, "type": "module"}')
    run("npm", "install", "--prefer-offline", package.folder / archive["filename"], folder=project)
    (project / "two.mjs").write_text(
        f'import answer from "{name}";\nconsole.log(JSON.stringify(await answer("good movie")));\n'
    )
    (label, *_) = json.loads(run("node", "two.mjs", folder=project))["labels"]
    expected = distilforge.open(random_release(head), threads=1)("good movie")
    assert (label["label"], label["score"]) == (expected.label, pytest.approx(expected.score, abs=1e-3))

    (project / "wrong.mjs").write_text(
        f'import answer, {{ InputError }} from "{name}";\n'
        "for (const input of [1, null, undefined, {text: 'a'}, []]) {\n"
        "  await answer(input).then(() => process.exit(1), (error) => {\n"
        "    if (!(error instanceof InputError) || !error.message.includes('an input is a text')) throw error;\n"
        "  });\n}\n"
    )
    run("node", "wrong.mjs", folder=project)

    (project / "types.ts").write_text(
        f'import answer, {{ open }} from "{name}";\n'
        'const label: string = (await answer(["good", "movie"])).labels[0].label;\n'
        'const model = await open({ intraOpNumThreads: 1 });\nconsole.log(label, await model.answer("good"));\n'
    )
    flags = ("--noEmit", "--strict", "--module", "nodenext", "--target", "es2022", "--skipLibCheck")
    run("node", MODULES / "typescript" / "lib" / "tsc.js", *flags, "types.ts", folder=project)
    shutil.rmtree(project)


def test_texts_that_are_hard_to_tokenize_have_the_runtimes_entities(tmp_path: Path) -> None:
    head = "token_classification"
    package = make("node", random_release(head), tmp_path / "package")
    (package.folder / "node_modules").symlink_to(MODULES)
    texts = [
        "naïve café — the Ångström’s rivière",
        "日本語 the 東京 king",
        "e\u0301clair vs \u00e9clair",
        "what?!... 'quoted' re-opened 3.14",
        "tab\tand\nnewline\u00a0nbsp\u200bzero",
        "the [MASK] and the [SEP] of [UNK]",
        "x" * 150 + " dog",
    ]
    (package.folder / "many.mjs").write_text(
        'import answer from "./index.js";\nconst all = [];\n'
        f"for (const text of {json.dumps(texts)}) all.push(await answer(text));\n"
        "process.stdout.write(JSON.stringify(all));\n"
    )
    observed = json.loads(run("node", "many.mjs", folder=package.folder))
    expected = distilforge.open(random_release(head), threads=1)(texts)
    for text, entities, answers in zip(texts, expected, observed, strict=True):
        spans = [(entity.label, entity.start, entity.end) for entity in entities]
        assert [(answer["label"], answer["start"], answer["end"]) for answer in answers] == spans, text


def test_texts_in_other_scripts_have_the_runtimes_tokens(tmp_path: Path) -> None:
    release = copied("token_classification", tmp_path / "release")
    tokenizer = json.loads((release / "tokenizer.json").read_text())
    vocabulary = tokenizer["model"]["vocab"]
    letters = ("σ", "ς", "##σ", "##ς")
    for letter, word in zip(letters, sorted(vocabulary, key=vocabulary.get)[-4:], strict=True):
        vocabulary[letter] = vocabulary.pop(word)
    (release / "tokenizer.json").write_text(json.dumps(tokenizer))
    record_again(release)
    package = make("node", release, tmp_path / "package")
    (package.folder / "node_modules").symlink_to(MODULES)
    # A capital sigma at the end of a word, and ideographs outside the basic plane
    texts = ["ΣΣ", "Σ the ΣΣ.", "the𠮷king", "é\U0002f800the"]
    (package.folder / "tokens.mjs").write_text(
        'import { open } from "./index.js";\nconst model = await open();\nconst all = [];\n'
        f"for (const text of {json.dumps(texts)}) {{\n"
        "  const { answer, calls: [{ feeds }] } = await model.trace(text);\n"
        "  all.push([Array.from(feeds.input_ids.data, Number), answer.map(({ start, end }) => [start, end])]);\n}\n"
        "process.stdout.write(JSON.stringify(all));\n"
    )
    observed = json.loads(run("node", "tokens.mjs", folder=package.folder))
    session = distilforge.open(release, threads=1)
    assert callable(session)
    for text, (ids, spans), entities in zip(texts, observed, session(texts), strict=True):
        assert ids == session.encode([text])["input_ids"][0].tolist(), text
        # JavaScript counts UTF-16 units
        units = [
            [len(text[:place].encode("utf-16-le")) // 2 for place in (entity.start, entity.end)]
            for entity in entities
        ]
        assert spans == units, text


def test_the_node_package_answers_after_a_load_that_failed(tmp_path: Path) -> None:
    package = make("node", random_release("sequence_classification"), tmp_path / "package")
    (package.folder / "node_modules").symlink_to(MODULES)
    (package.folder / "twice.mjs").write_text(
        'import { renameSync } from "node:fs";\nimport answer from "./index.js";\n'
        'renameSync("model", "away");\n'
        'const { code } = await answer("good movie").catch((error) => error);\n'
        'renameSync("away", "model");\n'
        'const { labels } = await answer("good movie");\n'
        "console.log(JSON.stringify([code, labels.length > 0]));\n"
    )
    assert json.loads(run("node", "twice.mjs", folder=package.folder)) == ["ENOENT", True]
