"""The model card shows names and notes as text."""

from dataclasses import replace

from distilforge.manifest import Withheld

from pipeline.release import model_card
from tests.unit.pipeline.release.test_publish import manifest

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
