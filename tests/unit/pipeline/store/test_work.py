"""The work folder: complete results are used again, and nothing else is."""

import json
import threading
from pathlib import Path

import pytest

from pipeline.errors import StageError, UsageError
from pipeline.store.usage import in_use
from pipeline.store.work import WorkFolder, clean


class Listener:
    """Remembers progress messages."""

    def __init__(self) -> None:
        self.reused: list[bool] = []
        self.notes: list[str] = []

    def started(self, stage: str, doing: str) -> None:
        pass

    def finished(self, stage: str, result: str, seconds: float, *, reused: bool) -> None:
        self.reused.append(reused)

    def note(self, text: str) -> None:
        self.notes.append(text)


@pytest.fixture
def listener() -> Listener:
    return Listener()


@pytest.fixture
def work(tmp_path: Path, listener: Listener) -> WorkFolder:
    return WorkFolder(tmp_path / "work", listener)


def write_text(text: str):
    def make(folder: Path) -> None:
        (folder / "part").mkdir()
        (folder / "part" / "file.txt").write_text(text)

    return make


def never(folder: Path) -> None:
    raise AssertionError("made again")


def stages(root: Path) -> list[Path]:
    return [path for path in (root / "work" / "export").iterdir() if path.suffix != ".lock"]


def test_a_result_that_does_not_stay_is_made_again(work: WorkFolder) -> None:
    asked: list[Path] = []

    def is_reusable(folder: Path) -> bool:
        asked.append(folder)
        return (folder / "part" / "file.txt").read_text() == "steady"

    def made(text: str) -> str:
        stage = work.stage("time", doing="", inputs={}, make=write_text(text), is_reusable=is_reusable)
        return (stage.folder / "part" / "file.txt").read_text()

    assert made("busy") == "busy"
    assert asked == []
    assert made("steady") == "steady"
    assert made("never made") == "steady"
    assert len(asked) == 2


def test_the_same_inputs_are_made_once(work: WorkFolder, listener: Listener) -> None:
    first = work.stage("export", doing="", inputs={"a": 1, "b": [2]}, make=write_text("x"))
    again = work.stage("export", doing="", inputs={"b": [2], "a": 1}, make=never)
    assert (first.reused, again.reused) == (False, True)
    assert listener.reused == [False, True]
    assert again.folder == first.folder
    assert again.digest == first.digest
    assert (again.folder / "part" / "file.txt").read_text() == "x"


def test_other_inputs_and_other_stages_are_made_anew(work: WorkFolder) -> None:
    digests = {
        work.stage(name, doing="", inputs=inputs, make=write_text(f"{name}{inputs}")).digest
        for name, inputs in [("export", {"a": 1}), ("export", {"a": 2}), ("compile", {"a": 1})]
    }
    assert len(digests) == 3


def test_the_digest_is_of_the_content(work: WorkFolder) -> None:
    first = work.stage("export", doing="", inputs={"a": 1}, make=write_text("same"))
    second = work.stage("export", doing="", inputs={"a": 2}, make=write_text("same"))
    assert first.folder != second.folder
    assert first.digest == second.digest


@pytest.mark.parametrize("damage", ["changed", "truncated", "missing", "record"])
def test_a_damaged_stage_is_made_again(damage: str, work: WorkFolder, listener: Listener) -> None:
    made = work.stage("export", doing="", inputs={}, make=write_text("right"))
    file = made.folder / "part" / "file.txt"
    if damage == "changed":
        file.write_text("wrong")
    elif damage == "truncated":
        file.write_text("rig")
    elif damage == "missing":
        file.unlink()
    else:
        (made.folder.parent / "stage.json").write_text("{")
    again = work.stage("export", doing="", inputs={}, make=write_text("right"))
    assert not again.reused
    assert file.read_text() == "right"
    assert len(listener.notes) == 1


@pytest.mark.parametrize(
    "error", [RuntimeError("torch said no"), KeyboardInterrupt(), MemoryError("no room")]
)
def test_a_stage_that_fails_leaves_nothing(error: BaseException, work: WorkFolder, tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "half.txt").write_text("half")
        raise error

    expected = type(error) if isinstance(error, KeyboardInterrupt) else StageError
    with pytest.raises(expected) as caught:
        work.stage("export", doing="", inputs={}, make=fail)
    assert stages(tmp_path) == []
    if expected is StageError:
        assert "stage export failed" in str(caught.value)
        assert str(error) in str(caught.value)
        assert caught.value.__cause__ is error


def test_a_full_disk_is_called_that(work: WorkFolder) -> None:
    def fail(folder: Path) -> None:
        raise OSError(28, "No space left on device", "model.onnx")

    with pytest.raises(
        StageError, match=r"stage export failed: the disk is full .*model.onnx(?s:.*)hint: make room"
    ):
        work.stage("export", doing="", inputs={}, make=fail)


def test_errors_that_explain_themselves_pass(work: WorkFolder) -> None:
    def fail(folder: Path) -> None:
        raise UsageError("as it is")

    with pytest.raises(UsageError, match=r"^as it is$"):
        work.stage("export", doing="", inputs={}, make=fail)


def test_two_builds_of_the_same_stage_make_it_once(tmp_path: Path) -> None:
    listeners = [Listener(), Listener()]
    entered, made = threading.Event(), []

    def slow(folder: Path) -> None:
        made.append(folder)
        entered.set()
        # The other build must find that the lock is held, and say so
        while not any(listener.notes for listener in listeners):
            threading.Event().wait(0.01)
        write_text("once")(folder)

    def run(listener: Listener) -> None:
        WorkFolder(tmp_path / "work", listener).stage("export", doing="", inputs={}, make=slow)

    first = threading.Thread(target=run, args=(listeners[0],))
    first.start()
    entered.wait()
    # A second build must not remove the folder of the first
    run(listeners[1])
    first.join()
    assert len(made) == 1
    assert sorted(flag for listener in listeners for flag in listener.reused) == [False, True]
    assert any("waiting" in note for listener in listeners for note in listener.notes)


def test_a_folder_that_cannot_be_written_is_a_usage_error(tmp_path: Path, listener: Listener) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UsageError, match="cannot write to the artifacts folder"):
        WorkFolder(tmp_path / "file" / "work", listener)


def test_the_record_says_what_went_in(work: WorkFolder) -> None:
    made = work.stage("export", doing="", inputs={"tools": {"torch": "2"}}, make=write_text("x"))
    record = json.loads((made.folder.parent / "stage.json").read_text())
    assert record["inputs"] == {"tools": {"torch": "2"}}
    assert record["files"]["part/file.txt"]["bytes"] == 1


def test_clean_removes_everything(work: WorkFolder, tmp_path: Path) -> None:
    work.stage("export", doing="", inputs={}, make=write_text("12345"))
    assert clean(tmp_path / "work") > 5
    assert not (tmp_path / "work").exists()


def test_clean_leaves_a_running_build_alone(work: WorkFolder, tmp_path: Path) -> None:
    def make(folder: Path) -> None:
        with pytest.raises(UsageError, match="a build is using"):
            clean(tmp_path / "work")

    work.stage("export", doing="", inputs={}, make=make)


def test_clean_leaves_a_build_alone_between_two_stages(work: WorkFolder, tmp_path: Path) -> None:
    made = work.stage("export", doing="", inputs={}, make=write_text("x"))
    with in_use(tmp_path / "work"), in_use(tmp_path / "work"):
        with pytest.raises(UsageError, match=r"a build is using (?s:.*)hint: wait"):
            clean(tmp_path / "work")
        assert made.folder.exists()
    clean(tmp_path / "work")
    assert not (tmp_path / "work").exists()


def test_clean_of_a_work_folder_that_is_a_link_keeps_the_link(work: WorkFolder, tmp_path: Path) -> None:
    """The work folder may be on another disk."""
    work.stage("export", doing="", inputs={}, make=write_text("x"))
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "work")
    clean(link)
    assert link.is_symlink()
    assert list((tmp_path / "work").iterdir()) == []


def test_clean_without_a_work_folder_removes_nothing(tmp_path: Path) -> None:
    assert clean(tmp_path / "work") == 0


def test_clean_of_a_name_that_no_folder_can_have(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="File name too long"):
        clean(tmp_path / ("x" * 5_000))
