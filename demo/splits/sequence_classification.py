"""The sentiment of sentences in four classes, from multiemo."""

from demo.bigbench import Bigbench
from demo.split import Example, Sizes, Splits, normalized, split

MEMBERS = ("multiemo/all_sentence_en/task.json",)
SIZES = Sizes(evaluation=2000, calibration=256, development=1000, per_group=1)


def build(source: Bigbench) -> Splits:
    """Each sentence once; sentences that occur with different labels are dropped."""
    labels: dict[str, set[str]] = {}
    records: dict[str, dict[str, object]] = {}
    for entry in source.examples("multiemo/all_sentence_en"):
        text = " ".join(entry["input"].split())
        label = next(name for name, score in entry["target_scores"].items() if score)
        labels.setdefault(normalized(text), set()).add(label)
        records[normalized(text)] = {"text": text, "label": label}
    return split(
        (
            Example(record=record, group=key, texts=frozenset({key}))
            for key, record in records.items()
            if len(labels[key]) == 1
        ),
        SIZES,
    )
