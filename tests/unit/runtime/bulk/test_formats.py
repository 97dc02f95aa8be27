"""The formats: what is written is read again, and bad rows and files are named."""

import io
from collections.abc import Sequence

import pyarrow
import pyarrow.parquet
import pytest
from distilforge.bulk.formats import Reading, format_of, formats, rows_of
from distilforge.bulk.formats import parquet as parquet_module
from distilforge.bulk.formats.lines import MOST_LINE_BYTES
from distilforge.bulk.formats.parquet import GROUP_ROWS
from distilforge.bulk.rows import UnreadableRow
from distilforge.errors import InputError
from distilforge.storage import StorageReadError

TEXTS = ("the film", 'quotes " and, commas', "two\nlines", "", "日本語 🐶", "tab\tand \\n", " spaces ")


def reading(suffix: str, content: bytes, columns: Sequence[str] = ("text",)) -> Reading:
    return format_of(f"a.{suffix}").read(io.BytesIO(content), len(content), columns)


def written(suffix: str, table: pyarrow.Table) -> bytes:
    file = io.BytesIO()
    with format_of(f"a.{suffix}").writer(file, table.schema) as write:
        for batch in table.to_batches(max_chunksize=2):
            write(batch)
        content = file.getvalue
    return content()


def parquet(column: pyarrow.Array) -> bytes:
    """A Parquet file with the column "text"."""
    file = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table({"text": column}), file)
    return file.getvalue()


@pytest.mark.parametrize("suffix", formats.names())
def test_texts_are_read_as_they_were_written(suffix: str) -> None:
    table = pyarrow.table({"row": list(range(len(TEXTS))), "text": TEXTS})
    read = reading(suffix, written(suffix, table))
    assert [row["text"] for row in read.rows if not isinstance(row, UnreadableRow)] == list(TEXTS)
    assert read.fraction() == 1


def test_few_rows_are_objects_of_python_at_once() -> None:
    batch = pyarrow.record_batch({"row": list(range(20))})
    parts = list(rows_of(batch))
    assert [row["row"] for rows in parts for row in rows] == list(range(20))
    assert max(map(len, parts)) == 8


@pytest.mark.parametrize("suffix", ["jsonl", "csv"])
def test_a_batch_is_written_as_its_rows_are(suffix: str) -> None:
    table = pyarrow.table({"row": list(range(20)), "text": [str(number) for number in range(20)]})
    file = io.BytesIO()
    with format_of(f"a.{suffix}").writer(file, table.schema) as write:
        write(table.combine_chunks().to_batches()[0])
    assert file.getvalue() == written(suffix, table)


@pytest.mark.parametrize("suffix", formats.names())
def test_an_output_without_rows_is_a_whole_file(suffix: str) -> None:
    table = pyarrow.table(
        {"row": pyarrow.array([], pyarrow.int64()), "text": pyarrow.array([], pyarrow.string())}
    )
    read = reading(suffix, written(suffix, table))
    assert list(read.rows) == []
    assert read.columns in (None, ("row", "text"))


def test_lists_are_json_in_csv() -> None:
    table = pyarrow.table({"row": [0, 1], "labels": [[{"label": "é", "score": 0.5}], None]})
    assert written("csv", table).decode() == 'row,labels\n0,"[{""label"": ""é"", ""score"": 0.5}]"\n1,\n'
    assert (
        written("jsonl", table).decode().splitlines()[0]
        == '{"row": 0, "labels": [{"label": "é", "score": 0.5}]}'
    )


def test_json_lines_names_what_is_no_object() -> None:
    lines = [
        b'{"text": "a"}',
        b"",
        b"nonsense",
        b"[1]",
        b'{"text": "a", "text": "b"}',
        b'"\xff"',
        b'{"text": "b"}',
    ]
    rows = list(reading("jsonl", b"\n".join(lines)).rows)
    reasons = [row.reason for row in rows if isinstance(row, UnreadableRow)]
    assert [isinstance(row, UnreadableRow) for row in rows] == [False, True, True, True, True, False]
    assert "not JSON: Expecting value" in reasons[0]
    assert "must be a JSON object, found [1]" in reasons[1]
    assert "'text' more than once" in reasons[2]
    assert reasons[3] == "the line is not UTF-8: byte 0xff at 1; save the file as UTF-8"


def test_a_huge_line_is_one_bad_row() -> None:
    huge = b'{"text": "' + b"a" * MOST_LINE_BYTES + b'"}'
    rows = list(reading("jsonl", huge + b'\n{"text": "b"}\n').rows)
    assert rows == [UnreadableRow(reason="the row has more than 16 MiB"), {"text": "b"}]


def test_a_byte_order_mark_is_no_part_of_the_header() -> None:
    assert reading("csv", b"\xef\xbb\xbftext\na\n").columns == ("text",)
    assert list(reading("jsonl", b'\xef\xbb\xbf{"text": "a"}\n').rows) == [{"text": "a"}]


@pytest.mark.parametrize(
    ("content", "problem", "hint"),
    [
        (b"", "the CSV file is empty", "the first line has the names"),
        (b"\n\n", "the first line of the CSV file is blank", "the first line has the names"),
        (b"\xef\xbb\xbf", "the first line of the CSV file is blank", "the first line has the names"),
        (b"text\ra\rb\r", "a carriage return (CR) stands alone in it", "lines that end in LF"),
        (
            b'"text\na\n',
            "cannot be read: a quote is opened in it and not closed",
            "the first line has the names",
        ),
        (b"text,n\xe9\na,1\n", "is not UTF-8 text: it has the byte 0xe9", "save the file as UTF-8"),
        ("text\na\n".encode("utf-16"), "it is UTF-16", "save the file as UTF-8"),
        ("text\na\n".encode("utf-16-be"), "it is UTF-16", "save the file as UTF-8"),
        ("\u0259text\na\n".encode("utf-16-be"), "it has the byte 0x00", "save the file as UTF-8"),
        (b"id;text\n1;a\n", "is one column, 'id;text'", "columns are separated by commas"),
        (b"id\ttext\n1\ta\n", "is one column, 'id\\ttext'", "columns are separated by commas"),
        (b"text,text\na,b\n", "must name every column once", "the first line has the names"),
        (b"x" * (MOST_LINE_BYTES + 1), "cannot be read: the row has more than 16 MiB", "end in LF"),
    ],
)
def test_a_csv_header_that_names_no_columns_is_refused(content: bytes, problem: str, hint: str) -> None:
    with pytest.raises(InputError) as raised:
        reading("csv", content)
    assert problem in raised.value.message
    assert hint in raised.value.hint


def test_a_csv_column_may_have_a_semicolon() -> None:
    assert list(reading("csv", b"a;b\n1\n", ("a;b",)).rows) == [{"a;b": "1"}]


def test_a_csv_row_that_is_not_utf_8_says_so() -> None:
    """Only the cells that are read count."""
    rows = list(reading("csv", b"text,other\ncaf\xe9,1\nb,\xe9\n").rows)
    bad = "the row is not UTF-8: the column 'text' has the byte 0xe9; save the file as UTF-8"
    assert rows == [UnreadableRow(reason=bad), {"text": "b"}]


def test_a_carriage_return_that_ends_no_line_is_named() -> None:
    (first, second) = reading("csv", b"text\na\rb\nc\n").rows
    assert isinstance(first, UnreadableRow)
    assert first.reason.startswith("the row is not CSV: a carriage return (CR) stands alone in it")
    assert second == {"text": "c"}
    (only,) = reading("jsonl", b'{"text": "a"}\r{"text": "b"}\r').rows
    assert isinstance(only, UnreadableRow)
    assert only.reason.endswith("a carriage return (CR) stands alone in it; a line must end in LF or CR LF")
    assert list(reading("jsonl", b'{"text":\r"a"}\r\n').rows) == [{"text": "a"}]


@pytest.mark.parametrize(
    ("encoding", "start"),
    [
        ("utf-16", "ff fe 7b 00"),
        ("utf-16-le", "7b 00 22 00"),
        ("utf-16-be", "00 7b 00 22"),
        ("utf-32", "ff fe 00 00"),
        ("utf-32-le", "7b 00 00 00"),
        ("utf-32-be", "00 00 00 7b"),
    ],
)
def test_json_lines_in_another_encoding_are_refused(encoding: str, start: str) -> None:
    """With a mark of the order of bytes and without."""
    with pytest.raises(InputError, match=f"begins with the bytes {start}: it is UTF-16 or UTF-32") as raised:
        list(reading("jsonl", '{"text": "a"}\n'.encode(encoding)).rows)
    assert raised.value.hint == "save the file as UTF-8"


def test_csv_names_rows_with_other_cells_than_the_header() -> None:
    rows = list(reading("csv", b'text,b\na,1\n\nonly\n"two\nlines",2\n1,2,3\n', ("text", "b")).rows)
    assert rows == [
        {"text": "a", "b": "1"},
        UnreadableRow(reason="the row has 1 cells, and the header has 2"),
        {"text": "two\nlines", "b": "2"},
        UnreadableRow(reason="the row has 3 cells, and the header has 2"),
    ]


@pytest.mark.parametrize("end", [b"", b"\n"])
def test_a_quote_that_csv_does_not_close_is_an_error_row(end: bytes) -> None:
    rows = list(reading("csv", b'text\na\n"b\nc\nd' + end).rows)
    assert rows[0] == {"text": "a"}
    (unreadable,) = rows[1:]
    assert isinstance(unreadable, UnreadableRow)
    assert "not closed before the end of the file" in unreadable.reason
    closed = list(reading("csv", b'text\na\n"b\nc\nd"' + end).rows)
    assert closed == [{"text": "a"}, {"text": "b\nc\nd"}]


def test_a_csv_cell_may_be_as_long_as_a_row() -> None:
    long = "a" * 200_000
    assert list(reading("csv", f"text,other\n{long},{long}\nb,c\n".encode()).rows) == [
        {"text": long},
        {"text": "b"},
    ]


def test_csv_goes_on_after_a_cell_that_is_too_large() -> None:
    rows = list(reading("csv", b"text\n" + b"a" * (MOST_LINE_BYTES + 1) + b"\nb\n").rows)
    assert rows == [UnreadableRow(reason="the row has more than 16 MiB"), {"text": "b"}]


def test_csv_reads_the_wanted_columns_only() -> None:
    assert list(reading("csv", b"other,text\n1,a\n").rows) == [{"text": "a"}]


def test_a_huge_csv_line_is_one_bad_row() -> None:
    """A line that is left out would move all answers after it."""
    rows = list(reading("csv", b"text\n" + b"a," * (MOST_LINE_BYTES // 2 + 1) + b"\nb\n").rows)
    assert rows == [UnreadableRow(reason="the row has more than 16 MiB"), {"text": "b"}]


def test_a_csv_row_of_many_lines_is_bounded() -> None:
    """Each of its cells is short."""
    cells = b'"a\n",' * 1000
    content = b"text\n" + cells * (MOST_LINE_BYTES // len(cells) + 2)
    assert UnreadableRow(reason="the row has more than 16 MiB") in list(reading("csv", content).rows)


def test_a_csv_header_has_a_limited_number_of_columns() -> None:
    header = b",".join(b"%d" % index for index in range(100_001))
    with pytest.raises(InputError, match="has 100,001 columns; at most 100,000 are read"):
        reading("csv", header + b"\n")


def test_json_lines_keep_few_names_of_other_columns() -> None:
    names = ",".join(f'"{"n" * 300}{index}": 0' for index in range(1000))
    (row,) = reading("jsonl", f'{{{names}, "text": "a", "{"text"}s": "b"}}\n'.encode()).rows
    assert not isinstance(row, UnreadableRow)
    assert row["text"] == "a"
    assert len(row) < 30
    assert max(map(len, row)) <= 200


def test_a_json_line_with_very_many_values_is_a_bad_row() -> None:
    (row,) = reading("jsonl", b'{"text": [' + b"[]," * 100_000 + b"[]]}\n").rows
    assert isinstance(row, UnreadableRow)
    assert "more than 100,000 commas and brackets" in row.reason


def test_parquet_reads_the_wanted_columns_only() -> None:
    content = written("parquet", pyarrow.table({"text": ["a", None], "other": [1, 2]}))
    read = reading("parquet", content)
    assert read.columns == ("text", "other")
    assert list(read.rows) == [{"text": "a"}, {"text": None}]


def test_parquets_row_groups_depend_on_the_rows_alone() -> None:
    table = pyarrow.table({"row": list(range(GROUP_ROWS + 10))})
    file = io.BytesIO()
    with format_of("a.parquet").writer(file, table.schema) as write:
        for batch in table.to_batches(max_chunksize=256):
            write(batch)
        whole = file.getvalue
    metadata = pyarrow.parquet.ParquetFile(io.BytesIO(whole())).metadata
    assert [metadata.row_group(index).num_rows for index in range(metadata.num_row_groups)] == [
        GROUP_ROWS,
        10,
    ]


LISTS = [["a", None], [], None]


@pytest.mark.parametrize(
    ("column", "values"),
    [
        (pyarrow.array(["a", None]), ["a", None]),
        (pyarrow.array(["a", "a"]).dictionary_encode(), ["a", "a"]),
        (pyarrow.array(["a"], pyarrow.large_string()), ["a"]),
        (pyarrow.array(["a"], pyarrow.string_view()), ["a"]),
        (pyarrow.nulls(2), [None, None]),
        (pyarrow.array(LISTS), LISTS),
        (pyarrow.array(LISTS, pyarrow.large_list(pyarrow.string())), LISTS),
        (
            pyarrow.array([["a", None], ["b", "c"]], pyarrow.list_(pyarrow.string(), 2)),
            [["a", None], ["b", "c"]],
        ),
    ],
)
def test_parquet_has_several_types_for_texts(column: pyarrow.Array, values: list[object]) -> None:
    rows = list(reading("parquet", parquet(column)).rows)
    assert [row["text"] for row in rows if not isinstance(row, UnreadableRow)] == values


@pytest.mark.parametrize(
    "column",
    [
        pyarrow.array([1]),
        pyarrow.array([b"a"]),
        # Python's times have no room for it
        pyarrow.array([10**18 + 1], pyarrow.timestamp("ns")),
        pyarrow.array([{"a": "b"}]),
        pyarrow.array([[["a"]]]),
    ],
)
def test_a_parquet_column_of_another_type_is_refused(column: pyarrow.Array) -> None:
    with pytest.raises(InputError, match=r"the column 'text' .* has the type .* it must have texts or lists"):
        reading("parquet", parquet(column))


def test_a_parquet_column_must_be_there_once() -> None:
    table = pyarrow.table([pyarrow.array(["a"]), pyarrow.array(["b"])], names=["text", "text"])
    file = io.BytesIO()
    pyarrow.parquet.write_table(table, file)
    with pytest.raises(InputError, match="has the column 'text' more than once"):
        reading("parquet", file.getvalue())


def test_a_text_in_parquet_that_is_not_utf_8_is_a_bad_row() -> None:
    offsets = pyarrow.array([0, 1, 2, 3], pyarrow.int32()).buffers()[1]
    column = pyarrow.Array.from_buffers(pyarrow.string(), 3, [None, offsets, pyarrow.py_buffer(b"a\xffb")])
    first, second, third = reading("parquet", parquet(column)).rows
    assert (first, third) == ({"text": "a"}, {"text": "b"})
    assert isinstance(second, UnreadableRow)
    assert "the row is not UTF-8" in second.reason


def test_a_huge_text_in_parquet_is_a_bad_row() -> None:
    huge = "a" * (MOST_LINE_BYTES + 1)
    bad = UnreadableRow(reason="the row has more than 16 MiB")
    assert list(reading("parquet", parquet(pyarrow.array([huge, "b"]))).rows) == [bad, {"text": "b"}]
    half = "a" * (MOST_LINE_BYTES // 2 + 1)
    assert list(reading("parquet", parquet(pyarrow.array([[half, half], ["b"]]))).rows) == [
        bad,
        {"text": ["b"]},
    ]


def test_lists_of_parquet_with_too_many_entries_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    column = pyarrow.ListArray.from_arrays([0, 5], pyarrow.nulls(5, pyarrow.string()))
    monkeypatch.setattr(parquet_module, "_MOST_ENTRIES", 5)
    (row,) = reading("parquet", parquet(column)).rows
    assert row == {"text": [None] * 5}
    monkeypatch.setattr(parquet_module, "_MOST_ENTRIES", 4)
    with pytest.raises(
        InputError, match=r"column 'text\.list\.element' have 5 entries in one row group .* at most 4"
    ):
        reading("parquet", parquet(column))
    # Texts are not entries, however many rows a row group has
    assert len(list(reading("parquet", parquet(pyarrow.array(["a"] * 5))).rows)) == 5


def test_a_text_that_parquet_repeats_in_a_column_with_a_dot() -> None:
    file = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table({"text.b": ["a text"] * 2, "text": ["x", "y"]}), file)
    rows = [
        dict(row) for row in reading("parquet", file.getvalue(), ["text.b"]).rows if isinstance(row, dict)
    ]
    assert rows == [{"text.b": "a text"}] * 2
    assert rows[0]["text.b"] is rows[1]["text.b"]


def test_a_text_that_parquet_repeats_is_one_text_in_memory() -> None:
    """A file of a few bytes can say that a long text is there in each of many rows."""
    long = pyarrow.array(["a" * (1 << 20)])
    rows = list(reading("parquet", parquet(pyarrow.DictionaryArray.from_arrays([0] * 100, long))).rows)
    assert len({id(row["text"]) for row in rows if not isinstance(row, UnreadableRow)}) == 1


@pytest.mark.parametrize("content", [b"", b"PAR1 nonsense PAR1", b"text\na\n"])
def test_what_is_not_parquet_is_refused(content: bytes) -> None:
    with pytest.raises(InputError, match="not a Parquet file"):
        reading("parquet", content)


class _Lost(io.BytesIO):
    """A file whose server fails once `after` bytes were read."""

    def __init__(self, content: bytes, after: int) -> None:
        super().__init__(content)
        self._left = after

    def read(self, size: int | None = -1, /) -> bytes:
        content = super().read(size)
        self._left -= len(content)
        if self._left < 0:
            raise StorageReadError("the server is gone")
        return content


@pytest.mark.parametrize("share", [0.0, 0.9])
def test_a_server_that_fails_does_not_make_a_parquet_file_another_kind_of_file(share: float) -> None:
    """The error is the file's, whose credentials are taken out where it is opened."""
    content = written("parquet", pyarrow.table({"text": [str(row) * 50 for row in range(10_000)]}))
    lost = _Lost(content, int(len(content) * share))
    with pytest.raises(StorageReadError, match="the server is gone"):
        list(format_of("a.parquet").read(lost, len(content), ("text",)).rows)


def test_a_parquet_file_that_is_damaged_names_the_row() -> None:
    content = bytearray(written("parquet", pyarrow.table({"text": ["some text"] * 10})))
    content[4:40] = b"\xff" * 36
    with pytest.raises(InputError, match="cannot be read after row 0"):
        list(reading("parquet", bytes(content)).rows)


@pytest.mark.parametrize("url", ["texts.txt", "s3://bucket/texts", "folder.csv/texts", "lines.lines"])
def test_another_suffix_is_refused(url: str) -> None:
    with pytest.raises(InputError, match="does not have the suffix of a format") as raised:
        format_of(url)
    assert "'.jsonl'" in raised.value.hint


def test_the_case_of_a_suffix_does_not_count() -> None:
    assert format_of("TEXTS.JSONL") is format_of("texts.jsonl")
