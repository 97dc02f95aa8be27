"""The one code path for a batch, with every head and without processes."""

import json
import pickle
from collections.abc import Mapping

import distilforge
import numpy as np
import pyarrow
import pytest
from distilforge.bulk import heads
from distilforge.bulk.answering import Answerer, AnswererSettings
from distilforge.bulk.columns import check_options, schema
from distilforge.bulk.rows import Batch, Row, UnreadableRow
from distilforge.errors import InputError
from distilforge.heads import heads as session_heads
from distilforge.session import Session

from tests.runtime_release import LABELS, published

ROWS: Mapping[str, tuple[Row, Row]] = {
    "features": ({"text": "the film"}, {"text": "the film", "text_pair": "was good"}),
    "masked_lm": ({"text": "the [MASK] film"}, {"text": "[MASK] [MASK]"}),
    "multiple_choice": (
        {"context": "the film was", "choices": ["good", "bad"]},
        {"context": "the film was", "choices": '["good", "bad", "a film"]'},
    ),
    "question_answering": (
        {"question": "who was it", "context": "it was the doctor"},
        {"question": "what was good", "context": "the film was good"},
    ),
    "sequence_classification": ({"text": "the film"}, {"text": "the film", "text_pair": "was good"}),
    "token_classification": ({"text": "the doctor and the king"}, {"text": ""}),
}
BAD: Mapping[str, tuple[Row, str]] = {
    "features": ({"text": None}, "input 12 must be text, found NoneType"),
    "masked_lm": ({"text": "no mask"}, "input 12 has no mask"),
    "multiple_choice": ({"context": "the", "choices": "good"}, "the choices must be a list"),
    "question_answering": ({"question": "who"}, "the row has no column 'context'; it has 'question'"),
    "sequence_classification": (
        {"text": "cat " * 100},
        "input 12 has 102 tokens, and this release takes at most 64",
    ),
    "token_classification": ({"text": "half \udc80"}, "input 12 holds half a surrogate pair"),
}


def opened(head: str) -> Session:
    return distilforge.open(published(head, LABELS.get(head, ())).release, threads=1)


def answerer(session: Session, **options: object) -> Answerer:
    kind = heads.columns.get(session.head)
    assert kind is not None
    names = {name: name for name in (*kind.inputs, *kind.optional)}
    settings = AnswererSettings(
        session=pickle.dumps(session), head=session.head, options=check_options(session, options), names=names
    )
    return settings.open()


def table_of(content: bytes) -> pyarrow.Table:
    return pyarrow.ipc.open_stream(content).read_all()


def test_every_head_has_columns() -> None:
    lacking = set(session_heads.names()) - set(heads.columns.names())
    assert lacking == set(), f"distilforge/bulk/heads has no columns for {lacking}"
    assert set(heads.columns.names()) <= set(session_heads.names())


def test_an_error_row_says_what_to_do() -> None:
    row, _ = BAD["sequence_classification"]
    answers = answerer(opened("sequence_classification"))(Batch(first=0, rows=(row,), fraction=1.0))
    (record,) = table_of(answers.table).to_pylist()
    assert record["error"].endswith("; shorten it, or pass truncation='truncate'")


@pytest.mark.parametrize("head", ROWS)
def test_good_rows_are_answered_beside_bad_ones(head: str) -> None:
    bad, problem = BAD[head]
    rows = (*ROWS[head], bad, UnreadableRow(reason="the line is not JSON"), ROWS[head][0])
    answers = answerer(opened(head))(Batch(first=10, rows=rows, fraction=0.5))
    assert (answers.first, answers.rows, answers.errors, answers.fraction) == (10, 5, 2, 0.5)
    records = table_of(answers.table).to_pylist()
    assert [record["row"] for record in records] == [10, 11, 12, 13, 14]
    assert [record["error"] is None for record in records] == [True, True, False, False, True]
    assert records[2]["error"].startswith(problem)
    assert records[3]["error"] == "the line is not JSON"
    # The same row; its batch is another one, so that sums may round otherwise (tests/unit/runtime/heads)
    assert list(records[0]) == list(records[4])
    for record in (records[2], records[3]):
        assert {value for name, value in record.items() if name not in ("row", "error")} == {None}


def test_records_hold_what_the_session_answers() -> None:
    session = opened("sequence_classification")
    assert isinstance(session, distilforge.SequenceClassification)
    rows = ROWS["sequence_classification"]
    (first, second) = session(["the film", ("the film", "was good")], top_k=2)
    records = table_of(answerer(session, top_k=2)(Batch(first=0, rows=rows, fraction=1.0)).table).to_pylist()
    assert [(record["label"], record["score"]) for record in records] == [
        (first.label, first.score),
        (second.label, second.score),
    ]
    assert records[1]["labels"] == [{"label": label.label, "score": label.score} for label in second.labels]


@pytest.mark.parametrize("head", ["sequence_classification", "features"])
def test_an_empty_second_text_is_a_pair_and_null_is_none(head: str) -> None:
    session = opened(head)
    assert isinstance(session, distilforge.SequenceClassification | distilforge.Features)
    rows: tuple[Row, ...] = (
        {"text": "the film", "text_pair": ""},
        {"text": "the film", "text_pair": None},
        {"text": "the film"},
    )
    pair, single = session(("the film", "")), session("the film")
    kind = heads.columns.get(head)
    assert kind is not None
    expected = [kind().record(answer, {}) for answer in (pair, single, single)]
    answered = [
        table_of(answerer(session)(Batch(first=0, rows=(row,), fraction=1.0)).table).to_pylist()[0]
        for row in rows
    ]
    for record, values in zip(answered, expected, strict=True):
        assert all(np.array_equal(record[name], value) for name, value in values.items())
    assert not all(np.array_equal(expected[0][name], value) for name, value in expected[1].items())


def test_embeddings_are_those_of_the_session() -> None:
    session = opened("features")
    assert isinstance(session, distilforge.Features)
    rows = ({"text": "the film"}, {"text": "the good film"})
    expected = session(["the film", "the good film"], pooling="token")
    table = table_of(answerer(session, pooling="token")(Batch(first=0, rows=rows, fraction=1.0)).table)
    for record, states in zip(table.column("embeddings").to_pylist(), expected, strict=True):
        np.testing.assert_array_equal(np.array(record, np.float32), states)


@pytest.mark.parametrize("head", ROWS)
def test_the_columns_are_the_same_without_any_answer(head: str) -> None:
    session = opened(head)
    nothing = answerer(session)(Batch(first=0, rows=(UnreadableRow(reason="no"),), fraction=1.0))
    everything = answerer(session)(Batch(first=0, rows=ROWS[head], fraction=1.0))
    kind = heads.columns.get(head)
    assert kind is not None
    assert table_of(nothing.table).schema == table_of(everything.table).schema == schema(kind(), {})


def test_all_rows_of_a_batch_can_fail_for_one_reason() -> None:
    settings = AnswererSettings(session=b"", head="token_classification", options={}, names={"text": "text"})
    failed = settings.failed(Batch(first=4, rows=({"text": "a"}, {"text": "b"}), fraction=1.0), "it\nended")
    assert failed.errors == 2
    assert table_of(failed.table).to_pylist() == [
        {"row": row, "entities": None, "error": "it ended"} for row in (4, 5)
    ]


@pytest.mark.parametrize(
    ("head", "options", "problem"),
    [
        ("sequence_classification", {"top": 3}, "has no option 'top'"),
        ("sequence_classification", {"top_k": 0}, "top_k must be a whole number of at least 1, found 0"),
        ("sequence_classification", {"truncation": "left"}, "truncation cannot be 'left'"),
        ("sequence_classification", {"inputs": ["a"]}, "has no option 'inputs'"),
        ("token_classification", {"ignore_labels": "O"}, "ignore_labels must be a list of texts, found 'O'"),
        ("features", {"normalize": 1}, "normalize must be true or false, found 1"),
    ],
)
def test_options_are_checked(head: str, options: dict[str, object], problem: str) -> None:
    with pytest.raises(InputError) as raised:
        check_options(opened(head), options)
    assert problem in raised.value.message
    assert raised.value.hint


def test_lists_become_tuples() -> None:
    options = json.loads('{"ignore_labels": ["O", "THING"], "aggregation": "max"}')
    assert check_options(opened("token_classification"), options) == {
        "ignore_labels": ("O", "THING"),
        "aggregation": "max",
    }
