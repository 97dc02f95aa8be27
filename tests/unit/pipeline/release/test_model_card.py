"""The model card shows names and notes as text."""

from dataclasses import replace
from pathlib import Path

import pytest
from distilforge.manifest import Span, Verdict, Withheld
from distilforge.text.prompts import Prompts

from model_src.sentence.modules import Dense, Normalize, Pooling, SentenceModules
from pipeline.release import model_card, summary
from tests.unit.pipeline.release.test_publish import manifest
from validation.token_ids.result import TokenIdComparison
from validation.token_ids.verdict import judge

HOSTILE = "x\n\n# Injected heading\n\n<script>alert(1)</script> ![](http://evil/x.png)"


def test_values_do_not_become_markdown() -> None:
    made = manifest()
    variant = replace(made.variants[0], notes=(HOSTILE,))
    card = model_card.render(
        replace(
            made,
            head="sequence_classification",
            labels=("negative", HOSTILE),
            variants=(variant,),
            withheld=(Withheld(name="onnxruntime-cpu:int8", reason=HOSTILE),),
        ),
        "DistilBertForSequenceClassification",
    )
    assert card.count(r"x # Injected heading &lt;script>alert(1)&lt;/script> !\[\](http://evil/x.png)") == 3
    assert "\n# Injected" not in card
    assert "<script>" not in card


def test_a_name_does_not_end_a_block_of_code() -> None:
    card = model_card.render(replace(manifest(), name="demo\n```\n# Injected"), "DistilBertModel")
    assert "\n# Injected" not in card
    assert 'distilforge.open("path/to/demo ``` # Injected")' in card


def test_the_data_are_in_the_table_of_origins() -> None:
    made = manifest()
    provenance = replace(made.provenance, data_sha256={"calibration": "5" * 64, "evaluation": "6" * 64})
    card = model_card.render(replace(made, provenance=provenance), "DistilBertModel")
    rows = card[card.index("| checkpoint |") :].splitlines()[:5]
    assert [row.split(" | ")[0] for row in rows] == [
        "| checkpoint",
        "| recipe",
        "| calibration data",
        "| evaluation data",
        "| pipeline",
    ]
    without = model_card.render(made, "DistilBertModel")
    assert "\n| recipe | sha256 " in without
    assert " |\n| pipeline | git " in without


SENTENCE = SentenceModules(
    modules=(
        Pooling(modes=("mean", "cls")),
        Dense(in_features=8, out_features=4, bias=True, activation="tanh", weights=Path("weights")),
        Normalize(),
    ),
    layer_names=("2", "3"),
    max_seq_length=24,
    do_lower_case=True,
    files=(),
    copies={},
    types=(),
)


def test_the_card_names_the_modules_of_a_sentence_embedding() -> None:
    made = replace(manifest(), spans={"sequence": Span(low=2, usual=8, high=24)})
    prompts = Prompts(texts={"query": "find: ", "document": ""}, default="find: ")
    card = model_card.render(made, "DistilBertModel", SENTENCE, prompts)
    assert "1. Pooling (mean, cls)\n2. Dense (8 to 4, tanh)\n3. Normalize\n" in card
    assert "A text has at most 24 tokens, and is changed to lower case." in card
    assert '| query | "find: " |\n' in card
    assert "`session(text)` takes query." in card
    assert "document" not in card
    plain = model_card.render(made, "DistilBertModel", replace(SENTENCE, do_lower_case=False))
    assert "3. Normalize\n\nA text has at most 24 tokens.\n\n## How accurate" in plain
    cut = model_card.render(made, "DistilBertModel", replace(SENTENCE, truncate_dim=3))
    assert "3. Normalize\n\nThe embedding is the first 3 numbers of the result.\nA text has at most" in cut
    assert "## The embedding of a text" not in model_card.render(made, "DistilBertModel")


def test_openvino_is_shown_with_the_properties_that_were_validated() -> None:
    made = manifest()
    variant = replace(
        made.variants[0],
        target="openvino",
        files=("openvino/model_bf16.onnx",),
        session={"INFERENCE_PRECISION_HINT": "bf16"},
    )
    card = model_card.render(replace(made, variants=(variant,)), "DistilBertModel")
    assert "latest/openvino/model_bf16.onnx" in card
    assert "'INFERENCE_PRECISION_HINT': 'bf16'" in card
    # Optimum and plain onnxruntime read the folder onnx
    assert "optimum" not in card


def verdict(kind: str, *, settled: bool) -> Verdict:
    return Verdict(
        check=kind,
        observed=1.5,
        comparison="at most",
        limit=0.01,
        unit="accuracy",
        reason="",
        kind=kind,
        settled=settled,
    )


def test_the_card_says_first_what_the_data_do_not_settle() -> None:
    made = manifest()
    variant = replace(
        made.variants[0], verdicts=(verdict("loss", settled=False), verdict("rare classes", settled=False))
    )
    card = model_card.render(replace(made, variants=(variant,)), "DistilBertModel")
    assert "**Not all is settled.**" in card
    assert f"the loss of the metric and classes with few answers ({variant.name})" in card
    settled = replace(variant, verdicts=(verdict("speedup over sibling", settled=False),))
    assert "Not all is settled" not in model_card.render(
        replace(made, variants=(settled,)), "DistilBertModel"
    )


def test_a_number_just_beyond_its_limit_does_not_look_equal_to_it() -> None:
    made = manifest()
    near = replace(verdict("loss", settled=True), observed=0.010004)
    card = model_card.render(
        replace(made, variants=(replace(made.variants[0], verdicts=(near,)),)), "DistilBertModel"
    )
    assert "| 0.010004 | at most 0.01 accuracy |" in card


def test_the_table_of_releases_says_what_the_data_do_not_settle() -> None:
    made = manifest()
    variant = replace(made.variants[0], verdicts=(verdict("loss", settled=False),))
    (line,) = summary.lines(replace(made, variants=(variant,)))
    assert line.verdict == "passed, not settled: the loss of the metric"
    assert line.loss_of_margin == "not settled: 1.5000 of 0.01"


@pytest.mark.parametrize(
    ("comparison", "says"),
    [
        (TokenIdComparison(oracle="", texts=0, obstacle="transformers is not installed"), True),
        (TokenIdComparison(oracle="transformers 4.57.6", texts=2_000), False),
    ],
)
def test_token_ids_that_were_not_compared(comparison: TokenIdComparison, says: bool) -> None:
    made = manifest()
    variant = replace(made.variants[0], verdicts=(judge(comparison),))
    card = model_card.render(replace(made, variants=(variant,)), "DistilBertModel")
    assert ("**The token ids are not settled**" in card) == says
    assert ("because transformers is not installed." in card) == says
    assert "texts with other token ids than transformers" in card
