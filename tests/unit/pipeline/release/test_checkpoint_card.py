"""What the card of a checkpoint says about licences and origins; it is a stranger's file and decides nothing."""

from pathlib import Path

import pytest

from pipeline.release import checkpoint_card
from pipeline.release.checkpoint_card import CheckpointCard, read_card


def card(folder: Path, text: str | bytes) -> CheckpointCard:
    content = text.encode() if isinstance(text, str) else text
    (folder / "README.md").write_bytes(content)
    return read_card(folder)


def test_the_metadata_of_the_hub(tmp_path: Path) -> None:
    text = "---\nlicense: apache-2.0\ndatasets:\n- glue\n- me/reviews\nbase_model: distilbert-base\n---\n# A model\n"
    assert card(tmp_path, text) == CheckpointCard(
        licenses=("apache-2.0",), datasets=("glue", "me/reviews"), base_models=("distilbert-base",)
    )


def test_a_licence_with_a_name_of_its_own(tmp_path: Path) -> None:
    text = "---\r\nlicense: other\r\nlicense_name: house\r\nlicense_link: https://example.com/l\r\n---\r\n"
    assert card(tmp_path, text) == CheckpointCard(licenses=("house",), license_link="https://example.com/l")


@pytest.mark.parametrize("text", ["", "# A model\n", "---\nlicense: mit\n", "text\n---\nlicense: mit\n---\n"])
def test_no_metadata(tmp_path: Path, text: str) -> None:
    assert card(tmp_path, text) == CheckpointCard()


def test_no_card(tmp_path: Path) -> None:
    assert read_card(tmp_path) == CheckpointCard()


@pytest.mark.parametrize(
    "text",
    [
        "---\n[\n---\n",
        "---\n- a\n---\n",
        "---\na: !!python/object/apply:os.system [x]\n---\n",
        "---\na: 2026-99-99\n---\n",
        "---\n" + "[" * 5000 + "\n---\n",
        b"---\nlicense: \xff\n---\n",
        b" " * (checkpoint_card.MOST_BYTES + 1),
    ],
)
def test_what_cannot_be_read_is_a_note(tmp_path: Path, text: str | bytes) -> None:
    read = card(tmp_path, text)
    assert read.licenses == ()
    assert read.note.startswith(f"the licences in {tmp_path / 'README.md'} could not be read: ")
    assert "\n" not in read.note


def test_values_of_other_kinds_are_left_out(tmp_path: Path) -> None:
    text = f"---\nlicense: [mit, 7, '', {'x' * 501}]\ndatasets: 5\nbase_model: {{a: b}}\n---\n"
    assert card(tmp_path, text) == CheckpointCard(licenses=("mit",))


def test_names_that_are_too_many(tmp_path: Path) -> None:
    names = "".join(f"- data{number}\n" for number in range(1000))
    assert len(card(tmp_path, f"---\ndatasets:\n{names}---\n").datasets) == checkpoint_card.MOST_NAMES
