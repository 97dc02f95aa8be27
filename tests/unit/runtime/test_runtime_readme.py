"""The README's examples run unchanged, on releases with the names that they use."""

import re
from pathlib import Path

import distilforge
import pytest

from tests.runtime_release import LABELS, published

README = Path(__file__).parents[3] / "runtime" / "README.md"
RELEASES = {
    "sentiment": "sequence_classification",
    "punctuation": "token_classification",
    "answers": "question_answering",
    "fill-mask": "masked_lm",
    "how-to": "multiple_choice",
    "sentence-embedding": "features",
}


def test_examples(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, head in RELEASES.items():
        (tmp_path / "artifacts" / name).mkdir(parents=True)
        (tmp_path / "artifacts" / name / "latest").symlink_to(published(head, LABELS.get(head, ())).release)
    monkeypatch.chdir(tmp_path)
    examples = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert len(examples) >= 8
    names: dict[str, object] = {}
    for example in examples:
        exec(example, names)
    assert "great movie" in capsys.readouterr().out


def test_the_readme_has_every_error_and_option() -> None:
    text = README.read_text(encoding="utf-8")
    for name in distilforge.__all__:
        if name.endswith("Error") or name in ("SequenceClassification", "Features", "MultipleChoice"):
            assert name in text
    for option in (
        "variant",
        "providers",
        "threads",
        "head",
        "allow_unvalidated",
        "trust",
        "manifest_sha256",
        "at_least",
    ):
        assert f"| `{option}` |" in text
