"""`distilforge run` from end to end: every head and format, URLs, and outputs that are there already."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import fsspec
import pyarrow
import pyarrow.parquet
import pytest
from distilforge.bulk import run as bulk_run
from distilforge.bulk.options import RunOptions, RunResult
from distilforge.bulk.progress import Progress
from distilforge.bulk.run import run as run_job
from distilforge.errors import InputError, ReleaseError, UnavailableError
from distilforge.storage import Place
from typer.testing import CliRunner

from pipeline.cli.app import app
from tests.integration.runtime.bulk.conftest import run
from tests.runtime_release import LABELS, published

ROWS: Mapping[str, dict[str, object]] = {
    "features": {"text": "the film"},
    "masked_lm": {"text": "the [MASK] film"},
    "multiple_choice": {"context": "the film was", "choices": ["good", "bad"]},
    "question_answering": {"question": "who was it", "context": "it was the doctor"},
    "sequence_classification": {"text": "the film"},
    "token_classification": {"text": "the doctor and the king"},
}
HEAD = "sequence_classification"
SUFFIXES = ("jsonl", "csv", "parquet")


def release_of(head: str) -> Path:
    return published(head, LABELS.get(head, ())).release


def answer(
    head: str, source: Path | str, output: Path | str, *, force: bool = False, **columns: str
) -> RunResult:
    options = RunOptions(input=str(source), output=str(output), workers=1, force=force, columns=columns)
    return run_job(str(release_of(head)), options, lambda progress: None)


def write(path: Path, rows: list[dict[str, object]]) -> Path:
    table = pyarrow.Table.from_pylist(rows)
    if path.suffix == ".parquet":
        pyarrow.parquet.write_table(table, path)
    else:
        from distilforge.bulk.formats import format_of

        with path.open("wb") as file, format_of(path.name).writer(file, table.schema) as write_batch:
            for batch in table.to_batches():
                write_batch(batch)
    return path


def read(path: Path) -> list[dict[str, object]]:
    if path.suffix == ".parquet":
        rows: list[dict[str, object]] = pyarrow.parquet.read_table(path).to_pylist()
        return rows
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    return write(tmp_path / "texts.jsonl", [{"text": "the film"}, {"text": "was good"}])


@pytest.mark.parametrize("head", ROWS)
def test_every_head_answers_a_file(head: str, tmp_path: Path) -> None:
    source = write(tmp_path / "rows.parquet", [ROWS[head]] * 3)
    result = answer(head, source, tmp_path / "answers.parquet")
    assert (result.rows, result.errors, result.reused) == (3, 0, 0)
    rows = read(tmp_path / "answers.parquet")
    assert [row["row"] for row in rows] == [0, 1, 2]
    assert {row["error"] for row in rows} == {None}
    assert list(rows[0])[1:-1]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_format_gives_the_same_answers(suffix: str, tmp_path: Path) -> None:
    head = "multiple_choice"
    source = write(tmp_path / f"rows.{suffix}", [ROWS[head], {"context": "one", "choices": ["option"]}])
    result = answer(head, source, tmp_path / f"answers.{suffix}")
    assert (result.rows, result.errors) == (2, 1)
    expected = answer(head, source, tmp_path / "expected.jsonl")
    rows = read(tmp_path / "expected.jsonl")
    assert expected.rows == 2
    assert rows[1]["error"].startswith("input 1 has 1 options; this release takes 2 to 5; ")
    if suffix == "csv":
        header, first, _ = (tmp_path / "answers.csv").read_text(encoding="utf-8").splitlines()
        assert header == "row,index,text,score,scores,error"
        assert first.startswith(f"0,{rows[0]['index']},{rows[0]['text']},{rows[0]['score']},")
    else:
        assert read(tmp_path / f"answers.{suffix}") == rows


@pytest.mark.parametrize(("suffix", "is_pair"), [("jsonl", True), ("parquet", True), ("csv", False)])
def test_an_empty_second_text_is_a_pair_where_a_format_has_null(
    suffix: str, is_pair: bool, tmp_path: Path
) -> None:
    source = write(
        tmp_path / f"rows.{suffix}",
        [{"text": "the film", "text_pair": ""}, {"text": "the film", "text_pair": None}],
    )
    result = answer("features", source, tmp_path / "answers.parquet")
    assert (result.rows, result.errors) == (2, 0)
    empty, null = (row["embedding"] for row in read(tmp_path / "answers.parquet"))
    assert (empty != null) is is_pair


@pytest.fixture
def memory() -> Iterator[fsspec.AbstractFileSystem]:
    files = fsspec.filesystem("memory")
    yield files
    files.store.clear()


def test_urls_are_read_and_written(memory: fsspec.AbstractFileSystem) -> None:
    memory.pipe("/bulk/texts.jsonl", b'{"text": "the film"}\n')
    result = answer("sequence_classification", "memory://bulk/texts.jsonl", "memory://bulk/out/answers.jsonl")
    assert result.output == Place("memory://bulk/out/answers.jsonl").url
    (row,) = map(json.loads, memory.cat("/bulk/out/answers.jsonl").splitlines())
    assert row["label"] in LABELS["sequence_classification"]
    again = answer("sequence_classification", "memory://bulk/texts.jsonl", "memory://bulk/out/answers.jsonl")
    assert (again.rows, again.reused) == (1, 1)


def test_an_input_without_rows_gives_an_output_without_rows(tmp_path: Path) -> None:
    (tmp_path / "texts.csv").write_text("text\n", encoding="utf-8")
    assert answer("sequence_classification", tmp_path / "texts.csv", tmp_path / "answers.csv").rows == 0
    assert (tmp_path / "answers.csv").read_text(encoding="utf-8") == "row,label,score,error\n"


@pytest.mark.parametrize("spelling", ["out.jsonl", "folder/../out.jsonl", "link/out.jsonl"])
def test_two_runs_do_not_write_one_output(spelling: str, texts: Path, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path)
    output = tmp_path / "out.jsonl"
    with bulk_run._alone(Place(str(tmp_path / spelling))):
        with pytest.raises(InputError, match=r"another run is writing .*out\.jsonl"):
            answer(HEAD, texts, output)
        assert answer(HEAD, texts, tmp_path / "other.jsonl").rows == len(read(tmp_path / "other.jsonl"))
    assert not (tmp_path / "out.jsonl.run").exists()
    assert answer(HEAD, texts, output).rows == len(read(output)) > 0


def test_rows_that_another_run_removes_are_missed(tmp_path: Path) -> None:
    source = write(tmp_path / "in.jsonl", [{"text": f"film {number}"} for number in range(600)])
    output = tmp_path / "out.jsonl"
    options = RunOptions(input=str(source), output=str(output), workers=1, save_seconds=1e-9)

    def removing(progress: Progress) -> None:
        if progress.rows == 600:
            (tmp_path / "out.jsonl.run" / "part-000000000000.json").unlink()

    with pytest.raises(InputError, match=r"has 0 rows, and 600 were answered: another run writes there too"):
        run_job(str(release_of(HEAD)), options, removing)
    assert not output.exists()
    assert answer(HEAD, source, output).rows == 600


def test_a_finished_output_is_not_answered_again(texts: Path, tmp_path: Path) -> None:
    output = tmp_path / "answers.jsonl"
    answer("sequence_classification", texts, output)
    before = output.stat()
    again = answer("sequence_classification", texts, output)
    assert (again.rows, again.reused) == (2, 2)
    assert output.stat().st_mtime_ns == before.st_mtime_ns


def test_the_output_of_another_input_is_refused_by_naming_both(texts: Path, tmp_path: Path) -> None:
    output, other = tmp_path / "answers.jsonl", tmp_path / "other.jsonl"
    shutil.copyfile(texts, other)
    answer("sequence_classification", texts, output)
    content = output.read_bytes()
    with pytest.raises(InputError, match="belongs to another job") as raised:
        answer("sequence_classification", other, output)
    assert str(texts) in raised.value.message
    assert str(other) in raised.value.message
    assert "--force" in raised.value.hint
    assert output.read_bytes() == content
    assert answer("sequence_classification", other, output, force=True).reused == 0


def test_the_output_of_another_release_is_refused_by_naming_both(texts: Path, tmp_path: Path) -> None:
    output = tmp_path / "answers.jsonl"
    answer("sequence_classification", texts, output)
    with pytest.raises(InputError) as raised:
        answer("token_classification", texts, output)
    assert "random-sequence_classification" in raised.value.message
    assert "random-token_classification" in raised.value.message


def test_the_output_of_a_variant_that_the_release_does_not_have(texts: Path, tmp_path: Path) -> None:
    output = tmp_path / "answers.jsonl"
    answer("sequence_classification", texts, output)
    job = tmp_path / "answers.jsonl.run" / "job.json"
    job.write_text(job.read_text().replace("onnxruntime-cpu:fp32", "tensorrt:fp16"))
    with pytest.raises(
        InputError,
        match=r"answers\.jsonl\.run.* was begun with the variant tensorrt:fp16 of .* has no variant",
    ) as raised:
        answer("sequence_classification", texts, output)
    assert "--force" in raised.value.hint
    assert answer("sequence_classification", texts, output, force=True).reused == 0


def test_a_changed_input_is_another_input(texts: Path, tmp_path: Path) -> None:
    output = tmp_path / "answers.jsonl"
    answer("sequence_classification", texts, output)
    os.utime(texts, (0, 0))
    with pytest.raises(
        InputError, match=r"another job: its input was last changed at 20\S+, and now 1970-01-01\S+\n"
    ):
        answer("sequence_classification", texts, output)


def test_another_spelling_of_the_input_is_the_same_input(texts: Path, tmp_path: Path) -> None:
    output = tmp_path / "answers.jsonl"
    answer("sequence_classification", texts, output)
    (tmp_path / "link").symlink_to(texts.parent)
    again = answer(
        "sequence_classification", tmp_path / "link" / ".." / texts.parent.name / texts.name, output
    )
    assert again.reused == again.rows > 0


def test_a_file_behind_a_folder_that_does_not_exist_is_refused(texts: Path, tmp_path: Path) -> None:
    (tmp_path / "other.jsonl").write_bytes(b"mine")
    with pytest.raises(InputError, match="exists, and no run says what is in it"):
        answer("sequence_classification", texts, tmp_path / "absent" / ".." / "other.jsonl")
    assert (tmp_path / "other.jsonl").read_bytes() == b"mine"


def test_a_file_that_no_run_wrote_is_refused(texts: Path, tmp_path: Path) -> None:
    output = tmp_path / "answers.jsonl"
    output.write_text("mine")
    with pytest.raises(InputError, match="no run says what is in it"):
        answer("sequence_classification", texts, output)
    assert output.read_text() == "mine"
    answer("sequence_classification", texts, output, force=True)
    assert len(read(output)) == 2


def test_an_output_that_was_changed_is_refused(texts: Path, tmp_path: Path) -> None:
    output = tmp_path / "answers.jsonl"
    answer("sequence_classification", texts, output)
    output.write_text("mine")
    with pytest.raises(InputError, match="was changed since it was finished: it has 4 bytes"):
        answer("sequence_classification", texts, output)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_output_that_was_changed_to_one_of_the_same_size_is_refused(
    suffix: str, texts: Path, tmp_path: Path
) -> None:
    output = tmp_path / f"answers.{suffix}"
    answer(HEAD, texts, output)
    content = output.read_bytes()
    changed = content[:-9] + bytes([content[-9] ^ 1]) + content[-8:]
    output.write_bytes(changed)
    os.utime(output, (0, 0))
    with pytest.raises(InputError, match=r"was changed since it was finished: its SHA-256 is") as raised:
        answer(HEAD, texts, output)
    assert hashlib.sha256(changed).hexdigest() in raised.value.message
    assert hashlib.sha256(content).hexdigest() in raised.value.message
    assert "--force" in raised.value.hint
    # A copy that somebody puts back has another time and the same content
    output.write_bytes(content)
    os.utime(output, (0, 0))
    assert answer(HEAD, texts, output).reused == 2


def test_an_output_at_a_url_that_was_changed_is_refused(memory: fsspec.AbstractFileSystem) -> None:
    memory.pipe("/bulk/texts.jsonl", b'{"text": "the film"}\n')
    urls = ("memory://bulk/texts.jsonl", "memory://bulk/answers.jsonl")
    answer(HEAD, *urls)
    content = memory.cat("/bulk/answers.jsonl")
    memory.pipe("/bulk/answers.jsonl", content.replace(b"null", b"NULL"))
    with pytest.raises(InputError, match="its SHA-256 is"):
        answer(HEAD, *urls)


def test_an_output_with_its_own_time_is_not_read_again(
    texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "answers.jsonl"
    answer(HEAD, texts, output)
    monkeypatch.setattr(bulk_run, "sha256", lambda place: pytest.fail("it was read"))
    assert answer(HEAD, texts, output).reused == 2


@pytest.mark.parametrize("name", ["texts.jsonl", "link.jsonl", "absent/../texts.jsonl"])
def test_an_output_that_is_the_input_is_refused(name: str, texts: Path, tmp_path: Path) -> None:
    (tmp_path / "link.jsonl").symlink_to(texts)
    content = texts.read_bytes()
    with pytest.raises(InputError, match="which it would replace"):
        answer("sequence_classification", tmp_path / name, texts, force=True)
    assert texts.read_bytes() == content


def test_an_output_that_is_a_folder_is_refused_before_anything_is_answered(
    texts: Path, tmp_path: Path
) -> None:
    (tmp_path / "answers.jsonl").mkdir()
    with pytest.raises(InputError, match="is a folder"):
        answer("sequence_classification", texts, tmp_path / "answers.jsonl", force=True)
    assert not (tmp_path / "answers.jsonl.run").exists()


def test_a_name_that_is_not_utf_8(tmp_path: Path) -> None:
    source = write(tmp_path / os.fsdecode(b"te\xffts.jsonl"), [{"text": "the film"}])
    output = tmp_path / os.fsdecode(b"answ\xffers.jsonl")
    assert answer("sequence_classification", source, output).rows == 1
    assert answer("sequence_classification", source, output).reused == 1
    assert "\\udcff" in run(
        release_of("sequence_classification"), "--input", source, "--output", output, "--workers", "1"
    )


def test_an_output_that_was_removed_is_made_again(texts: Path, tmp_path: Path) -> None:
    output = tmp_path / "answers.jsonl"
    answer("sequence_classification", texts, output)
    content = output.read_bytes()
    output.unlink()
    assert answer("sequence_classification", texts, output).reused == 0
    assert output.read_bytes() == content


def test_columns_are_found_by_name(tmp_path: Path) -> None:
    source = write(tmp_path / "reviews.csv", [{"review": "the film", "id": 1}])
    with pytest.raises(InputError, match="has no column 'text'; it has 'review', 'id'") as raised:
        answer("sequence_classification", source, tmp_path / "answers.jsonl")
    assert "--column text=COLUMN" in raised.value.hint
    # Nothing was begun for the wrong columns that would be in the way of the right ones
    assert answer("sequence_classification", source, tmp_path / "answers.jsonl", text="review").errors == 0


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("name", ["text", "text_pair"])
def test_a_column_that_the_user_names_must_be_there(name: str, suffix: str, tmp_path: Path) -> None:
    source = write(tmp_path / f"reviews.{suffix}", [{"text": "the film", "id": "1"}] * 2)
    where = " in its first 2 rows" if suffix == "jsonl" else ""
    with pytest.raises(InputError, match=f"has no column 'reply'{where}; it has") as raised:
        answer(HEAD, source, tmp_path / "answers.jsonl", **{name: "reply"})
    assert "'id'" in raised.value.message
    assert f"--column {name}=COLUMN" in raised.value.hint
    assert not (tmp_path / "answers.jsonl.run").exists()


def test_json_lines_that_all_lack_a_needed_column_are_refused(tmp_path: Path) -> None:
    source = write(tmp_path / "reviews.jsonl", [{"review": "the film"}] * 300)
    with pytest.raises(
        InputError, match=r"has no column 'text' in its first 256 rows; it has 'review'"
    ) as raised:
        answer(HEAD, source, tmp_path / "answers.jsonl")
    assert "--column text=COLUMN" in raised.value.hint
    assert not (tmp_path / "answers.jsonl.run").exists()
    source.write_text("{}\n")
    with pytest.raises(InputError, match="it has none"):
        answer(HEAD, source, tmp_path / "answers.jsonl")


@pytest.mark.parametrize("head", ROWS)
def test_every_head_refuses_json_lines_without_its_columns(head: str, tmp_path: Path) -> None:
    last = list(ROWS[head])[-1]
    rows = [{name: value for name, value in ROWS[head].items() if name != last} | {"id": "1"}]
    with pytest.raises(InputError, match=f"has no column '{last}' in its first 1 rows"):
        answer(head, write(tmp_path / "rows.jsonl", rows), tmp_path / "answers.jsonl")


def test_json_lines_of_which_some_lack_a_column_are_answered(tmp_path: Path) -> None:
    source = tmp_path / "reviews.jsonl"
    source.write_text('{"review": "the film"}\n{"text": "the film"}\n{"text": "the film", "reply": null}\n')
    result = answer(HEAD, source, tmp_path / "answers.jsonl", text_pair="reply")
    assert (result.rows, result.errors) == (3, 1)
    assert "has no column 'text'; it has 'review'" in str(read(tmp_path / "answers.jsonl")[0]["error"])


def test_a_run_whose_rows_are_all_errors_says_so(tmp_path: Path) -> None:
    source = tmp_path / "texts.jsonl"
    source.write_text('{"text": 1}\nnonsense\n')
    arguments = (release_of(HEAD), "--input", source, "--output", tmp_path / "a.jsonl", "--workers", "1")
    for _ in range(2):
        assert "2 rows, all of them errors: the column 'error' says why" in run(*arguments)
    source.write_text('{"text": 1}\n{"text": "the film"}\n')
    assert "2 rows, 1 of them errors\n" in run(*arguments, "--force")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", b""),
        ("a.parquet", b""),
        ("a.csv", b"id;text\n"),
        ("a.jsonl", b"\xff\xfe{"),
        ("a.parquet", None),
    ],
)
def test_an_input_that_cannot_be_read_is_named(name: str, content: bytes | None, tmp_path: Path) -> None:
    source = tmp_path / name
    if content is None:
        damaged = bytearray(write(source, [{"text": "some text"}] * 10).read_bytes())
        damaged[4:40] = b"\xff" * 36
        content = bytes(damaged)
    source.write_bytes(content)
    with pytest.raises(InputError) as raised:
        answer(HEAD, source, tmp_path / "answers.jsonl")
    assert raised.value.message.startswith(f"'file://{source}': ")
    assert raised.value.hint


@pytest.mark.parametrize("place", ["input", "output"])
def test_a_pipe_is_refused_by_what_it_is(place: str, texts: Path, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.jsonl"
    os.mkfifo(pipe)
    files = {"input": texts, "output": tmp_path / "answers.jsonl"} | {place: pipe}
    with pytest.raises(InputError, match=rf"the {place} .*pipe\.jsonl' is a pipe or a device"):
        answer(HEAD, files["input"], files["output"], force=True)
    assert pipe.is_fifo()


@pytest.mark.parametrize("option", ["--input", "--output"])
def test_a_url_with_one_slash_is_not_a_path_of_this_machine(
    option: str, texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    wrong = "s3:/bucket/texts.jsonl"
    source, output = (wrong, "answers.jsonl") if option == "--input" else (texts, wrong)
    with pytest.raises(InputError, match="one slash after its protocol"):
        answer(HEAD, source, output)
    assert not (tmp_path / "s3:").exists()


def test_an_output_on_a_web_server_is_refused(texts: Path) -> None:
    pytest.importorskip("aiohttp", reason="needs aiohttp: pip install aiohttp")
    with pytest.raises(InputError, match=r"the output 'http://127\.0\.0\.1:9/a\.csv' is on a web server"):
        answer(HEAD, texts, "http://127.0.0.1:9/a.csv")


def test_an_input_that_is_a_folder_is_refused_by_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "texts.jsonl").mkdir()
    with pytest.raises(InputError, match=r"the input .*texts\.jsonl' is a folder"):
        answer(HEAD, tmp_path / "texts.jsonl", tmp_path / "answers.jsonl")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--input", "absent.jsonl", "--output", "a.jsonl"], 2, "there is no file"),
        (["--input", "TEXTS", "--output", "a.txt"], 2, "does not have the suffix of a format"),
        (["--input", "TEXTS", "--output", "a.jsonl", "--option", "top_k"], 2, "--option must be NAME=VALUE"),
        (["--input", "TEXTS", "--output", "a.jsonl", "--workers", "0"], 2, "workers must be a whole number"),
        (
            ["--input", "TEXTS", "--output", "a.jsonl", "--workers", "9999"],
            2,
            "must be at most 1024, found 9999",
        ),
        (["--input", "TEXTS", "--output", "a.jsonl", "--save-every", "0"], 2, "must be above 0"),
        (["--input", "TEXTS"], 2, "--output"),
    ],
)
def test_exit_codes(arguments: list[str], code: int, words: str, texts: Path, tmp_path: Path) -> None:
    release = release_of("sequence_classification")
    written = [str(texts) if word == "TEXTS" else word.replace("a.", f"{tmp_path}/a.") for word in arguments]
    assert words in run(release, *written, code=code)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["texts.jsonl"]


def test_a_release_that_is_absent_is_refused(texts: Path, tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match="no release at"):
        run_job(
            "absent", RunOptions(input=str(texts), output=str(tmp_path / "a.jsonl")), lambda progress: None
        )


def test_progress_is_told(texts: Path, tmp_path: Path) -> None:
    told: list[Progress] = []
    options = RunOptions(input=str(texts), output=str(tmp_path / "a.jsonl"), workers=1)
    run_job(str(release_of("sequence_classification")), options, told.append)
    assert [(progress.rows, progress.fraction) for progress in told] == [(2, 1.0)]


def test_the_pipelines_command_is_the_same(texts: Path, tmp_path: Path) -> None:
    arguments = ["run", str(release_of("sequence_classification")), "--input", str(texts), "--workers", "1"]
    shell = CliRunner()
    done = shell.invoke(
        app, [*arguments, "--output", str(tmp_path / "a.csv"), "--option", "top_k=2", "--json"]
    )
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["rows"] == 2
    assert shell.invoke(app, [*arguments, "--output", str(tmp_path / "a.txt")]).exit_code == 2


def test_it_needs_no_ray_until_it_is_asked_for(texts: Path, tmp_path: Path) -> None:
    try:
        import ray  # noqa: F401
    except ModuleNotFoundError:
        options = RunOptions(input=str(texts), output=str(tmp_path / "a.jsonl"), ray=True)
        with pytest.raises(UnavailableError, match="Ray cannot be imported"):
            run_job(str(release_of("sequence_classification")), options, lambda progress: None)
        # Nothing was begun, so that nothing has to be forced
        assert not (tmp_path / "a.jsonl.run").exists()
        answer("sequence_classification", texts, tmp_path / "a.jsonl")
        again = replace(options, force=True)
        with pytest.raises(UnavailableError, match="Ray cannot be imported"):
            run_job(str(release_of("sequence_classification")), again, lambda progress: None)
        assert answer("sequence_classification", texts, tmp_path / "a.jsonl").reused == 2
    else:
        pytest.skip("Ray is installed here")
