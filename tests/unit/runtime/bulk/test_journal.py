"""What a run leaves, on a disk and on a file system in memory, and what a torn file counts as."""

import hashlib
import struct
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import fsspec
import pyarrow
import pytest
from distilforge.bulk.job import Job
from distilforge.bulk.journal import Finish, Journal, Part
from distilforge.bulk.rows import Answers
from distilforge.errors import InputError
from distilforge.storage import Place

from tests.bulk_job import JOB

FINISH = Finish(rows=3, errors=0, bytes=9, sha256="5" * 64, modified="2026-01-01")
KIND = pyarrow.schema([("row", pyarrow.int64())])


@pytest.fixture(params=["file", "memory"])
def output(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    if request.param == "file":
        yield Place(str(tmp_path / "out" / "answers.jsonl"))
    else:
        yield Place("memory://bulk/answers.jsonl")
        fsspec.filesystem("memory").store.clear()


def answers(first: int, rows: int, errors: int = 0) -> Answers:
    table = stream({"row": pyarrow.array(range(first, first + rows))})
    return Answers(first=first, rows=rows, errors=errors, fraction=0.5, table=table)


def started(output: Place) -> Journal:
    journal = Journal(output)
    journal.start(JOB)
    return journal


def test_a_new_output_has_no_run(output: Place) -> None:
    journal = Journal(output)
    assert (journal.job(), journal.finish(), journal.parts()) == (None, None, ())


def test_parts_are_read_again_in_order(output: Place) -> None:
    journal = started(output)
    journal.save([answers(0, 3), answers(3, 3, errors=1)])
    journal.save([answers(6, 2)])
    again = Journal(output)
    assert again.job() == JOB
    parts = again.parts()
    assert [(part.first, part.end, part.errors) for part in parts] == [(0, 6, 1), (6, 8, 0)]
    rows = [row for part in parts for batch in again.batches(part, KIND) for row in batch.to_pydict()["row"]]
    assert rows == list(range(8))


def test_a_part_without_its_receipt_does_not_count(output: Place) -> None:
    journal = started(output)
    journal.save([answers(0, 3)])
    journal.save([answers(3, 3)])
    output.beside(".run").inside("part-000000000003.json").remove()
    assert [part.first for part in journal.parts()] == [0]
    # What stands there is written over, with another length
    journal.save([answers(3, 5)])
    assert [part.end for part in journal.parts()] == [3, 8]


@pytest.mark.parametrize("name", ["part-000000000003.json", "part-000000000003.arrow"])
def test_a_torn_file_counts_as_absent(output: Place, name: str) -> None:
    journal = started(output)
    journal.save([answers(0, 3)])
    journal.save([answers(3, 3)])
    journal.save([answers(6, 3)])
    place = output.beside(".run").inside(name)
    content = place.read()
    assert content is not None
    place.write(content[: len(content) // 2])
    assert [part.first for part in journal.parts()] == [0]


@pytest.mark.parametrize("name", ["job.json", "finished.json"])
def test_a_torn_note_counts_as_absent(output: Place, name: str) -> None:
    journal = started(output)
    journal.end(FINISH)
    place = output.beside(".run").inside(name)
    content = place.read()
    assert content is not None
    place.write(content[:-3])
    assert (journal.job() if name == "job.json" else journal.finish()) is None


def test_a_changed_part_is_refused_when_it_is_read(output: Place) -> None:
    journal = started(output)
    part = journal.save([answers(0, 3)])
    place = output.beside(".run").inside("part-000000000000.arrow")
    content = place.read()
    assert content is not None
    place.write(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(InputError, match=part.sha256):
        journal.batches(part, KIND)


def stream(columns: dict[str, pyarrow.Array]) -> bytes:
    sink = pyarrow.BufferOutputStream()
    batch = pyarrow.RecordBatch.from_pydict(columns)
    with pyarrow.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def outside() -> bytes:
    """A stream of texts whose last offset points outside of their characters."""
    content = stream({"text": pyarrow.array(["a text", "another"])})
    offsets = struct.pack("<3i", 0, 6, 13)
    assert content.count(offsets) == 1
    return content.replace(offsets, struct.pack("<3i", 0, 6, 1 << 30))


@pytest.mark.parametrize(
    ("content", "kind", "problem"),
    [
        (b"", KIND, "is not what a run writes"),
        (b"not Arrow", KIND, "is not what a run writes"),
        (stream({"row": pyarrow.array([0, 1])})[:-20], KIND, "is not what a run writes"),
        (
            outside(),
            pyarrow.schema([("text", pyarrow.string())]),
            "is not what a run writes",
        ),
        (stream({"row": pyarrow.array([0])}), KIND, "it must have 2 rows with the columns row, found 1 rows"),
        (stream({"other": pyarrow.array([0, 1])}), KIND, "found 2 rows with other"),
        (stream({"row": pyarrow.array(["0", "1"])}), KIND, "found 2 rows with row"),
    ],
)
def test_a_part_that_somebody_else_wrote_is_refused(
    output: Place, content: bytes, kind: pyarrow.Schema, problem: str
) -> None:
    """Its digest is right, since whoever wrote it wrote the receipt too."""
    journal = started(output)
    output.beside(".run").inside("part-000000000000.arrow").write(content)
    sha256 = hashlib.sha256(content).hexdigest()
    part = Part(first=0, rows=2, errors=0, bytes=len(content), sha256=sha256)
    with pytest.raises(InputError, match=problem) as raised:
        journal.batches(part, kind)
    assert "--force" in raised.value.hint


@pytest.mark.parametrize(
    "content", [b"[" * 100_000, b'{"rows": ' + b"9" * 5_000 + b"}", b"\xff", b'{"rows":1,"rows":2}']
)
def test_a_note_that_no_reader_takes_counts_as_absent(output: Place, content: bytes) -> None:
    journal = started(output)
    output.beside(".run").inside("finished.json").write(content)
    assert journal.finish() is None


@pytest.mark.parametrize("name", ["job.json", "finished.json", "part-000000000000.json"])
def test_a_note_that_would_fill_the_memory_is_refused(tmp_path: Path, name: str) -> None:
    journal = started(Place(str(tmp_path / "answers.jsonl")))
    path = tmp_path / "answers.jsonl.run" / name
    with path.open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(InputError, match=r"it has more than 16,777,216 bytes, the limit") as raised:
        (journal.job(), journal.finish(), journal.parts())
    assert "--force" in raised.value.hint


def test_a_part_that_would_fill_the_memory_is_refused(tmp_path: Path) -> None:
    journal = started(Place(str(tmp_path / "answers.jsonl")))
    with (tmp_path / "answers.jsonl.run" / "part-000000000000.arrow").open("wb") as file:
        file.truncate(1 << 40)
    part = Part(first=0, rows=2, errors=0, bytes=1 << 40, sha256="0" * 64)
    with pytest.raises(InputError, match=r"it has 1,099,511,627,776 bytes; at most 2,147,483,648 are read"):
        journal.batches(part, KIND)
    # The file grew after it was measured
    with pytest.raises(InputError, match=r"its SHA-256 must be"):
        journal.batches(replace(part, bytes=100), KIND)


def test_a_name_that_is_not_utf_8_comes_back(output: Place) -> None:
    job = replace(JOB, input="file:///te\udcffts.jsonl")
    journal = Journal(output)
    journal.start(job)
    assert journal.job() == job


def test_files_of_others_stay(output: Place) -> None:
    """The folder may have been anybody's before it was a run's."""
    others = ("notes.txt", "part-1.json", "part-000000000000.arrow.bak", "my-output")
    folder = output.beside(".run")
    for name in others:
        folder.inside(name).write(b"mine")
    journal = started(output)
    journal.save([answers(0, 3)])
    journal.end(FINISH)
    assert set(folder.names()) == {*others, "job.json", "finished.json"}


def test_a_link_is_no_folder_of_a_run(tmp_path: Path) -> None:
    (tmp_path / "answers.jsonl.run").symlink_to(tmp_path, target_is_directory=True)
    with pytest.raises(InputError, match="is a link"):
        Journal(Place(str(tmp_path / "answers.jsonl")))


def test_links_in_the_folder_are_not_followed(tmp_path: Path) -> None:
    """Whoever may write to the folder of the output must not choose what else is written."""
    private = tmp_path / "private"
    private.write_bytes(b"private")
    output = Place(str(tmp_path / "answers.jsonl"))
    folder = tmp_path / "answers.jsonl.run"
    folder.mkdir()
    for name in ("job.json", "output", "part-000000000000.arrow"):
        (folder / name).symlink_to(private)
    (folder / "part-000000000000.json").symlink_to(tmp_path / "absent")
    journal = Journal(output)
    journal.start(JOB)
    journal.save([answers(0, 3)])
    journal.temporary().write(b"answers")
    assert private.read_bytes() == b"private"
    assert not (tmp_path / "absent").exists()
    assert not any(path.is_symlink() for path in folder.iterdir())


def test_a_finished_run_keeps_two_notes(output: Place) -> None:
    journal = started(output)
    journal.save([answers(0, 3)])
    journal.end(FINISH)
    assert journal.finish() == FINISH
    assert output.beside(".run").names() == ("finished.json", "job.json")


def test_another_job_forgets_the_one_before(output: Place) -> None:
    journal = started(output)
    journal.save([answers(0, 3)])
    journal.end(FINISH)
    other = replace(JOB, version="2")
    journal.start(other)
    assert (journal.job(), journal.finish(), journal.parts()) == (other, None, ())
    assert output.beside(".run").names() == ("job.json",)


def test_a_note_of_a_later_version_is_an_error_with_its_place(output: Place) -> None:
    started(output)
    output.beside(".run").inside("job.json").write(b'{"input": 7}')
    with pytest.raises(InputError, match=r"job\.json.*input"):
        Journal(output).job()


@pytest.mark.parametrize(
    ("change", "phrase"),
    [
        ({"input": "file:///b.jsonl"}, "its input was file:///texts.jsonl, and now file:///b.jsonl"),
        ({"input_bytes": 12345}, "its input had this many bytes: 9, and now 12,345"),
        ({"input_modified": ""}, "its input was last changed at 2026-01-01, and now an unknown time"),
        ({"columns": {"text": "review"}}, "it read the columns text=text, and now text=review"),
        ({"variant": "openvino:int8"}, "its variant was onnxruntime-cpu:fp32, and now openvino:int8"),
        (
            {"version": "2", "threads": 2},
            "its release had the version 1, and now 2; its workers had this many threads: 1, and now 2",
        ),
    ],
)
def test_another_job_is_told_by_what_differs(change: dict[str, Any], phrase: str) -> None:
    assert replace(JOB, **change).differences(JOB) == phrase


def test_every_field_of_a_job_can_be_told() -> None:
    other = Job(
        **{
            entry.name: {"text": "x"} if entry.name == "columns" else f"another {entry.name}"
            for entry in fields(Job)
        }
    )
    assert other.differences(JOB).count("; ") == len(fields(Job)) - 1
