"""Tensors of the Open Inference Protocol, and what is refused."""

import tracemalloc

import numpy as np
import pytest
from distilforge.errors import InputError
from distilforge.serve.adapter import Json
from distilforge.serve.tensors import InputTensor, binary_size, by_name, little_endian, read_tensor


def entry(**changes: Json) -> dict[str, Json]:
    return {"name": "input_ids", "datatype": "INT64", "shape": [1, 3], "data": [1, 2, 3]} | changes


def test_json_values_may_be_flat_or_nested() -> None:
    for data in ([1, 2, 3], [[1, 2, 3]]):
        values = read_tensor(entry(data=data), None).values
        assert isinstance(values, np.ndarray)
        np.testing.assert_array_equal(values, np.array([[1, 2, 3]], np.int64))
        assert values.dtype == np.int64


def test_binary_values_are_little_endian() -> None:
    array = np.array([[1, -2, 3]], ">i8")
    raw = memoryview(little_endian(array))
    values = read_tensor(entry(), raw).values
    np.testing.assert_array_equal(values, array)


def test_texts() -> None:
    texts = ("a", "", "naïve")
    listed = entry(datatype="BYTES", shape=[3], data=list(texts))
    assert read_tensor(listed, None).values == texts
    nested = entry(datatype="BYTES", shape=[3, 1], data=[[text] for text in texts])
    assert read_tensor(nested, None).values == texts
    raw = b"".join(len(text.encode()).to_bytes(4, "little") + text.encode() for text in texts)
    assert read_tensor(listed, memoryview(raw)).values == texts


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (3, "an input must be an object with a name, found 3"),
        ({}, "an input must be an object with a name"),
        (entry(shape=[2, 3]), r"has 3 values and the shape \[2, 3\]"),
        (entry(shape=[-1, 3]), "must be a list of at most 8 sizes"),
        (entry(shape=[1] * 9), "must be a list of at most 8 sizes"),
        (entry(shape=None), "must be a list of at most 8 sizes from 0 to 1,000,000, found None"),
        (entry(shape=[0, 1_000_001], data=[]), r"sizes from 0 to 1,000,000, found \[0, 1000001\]"),
        (entry(datatype="INT65"), "has the datatype 'INT65'"),
        (entry(datatype=["x"]), "has the datatype"),
        (entry(data=None), "must be a list of int64, found None|are not numbers"),
        (entry(data=[1, 2, "3"]), "must be a list of int64|are not numbers"),
        (entry(data=[1, 2, 2.5]), "must be a list of int64"),
        (entry(data=[1, 2, 1 << 70]), "must be a list of int64|are not numbers"),
        (entry(data=[1, 2, float("nan")]), "must be a list of int64|are not numbers"),
        (entry(data=[[1], [2, 3]]), "must be a list of int64|are not numbers"),
        (entry(datatype="BYTES", shape=[1], data=[1]), "must be a list of texts"),
        (entry(datatype="BYTES", shape=[2], data=[["a"], "b"]), "must be a list of texts"),
        (entry(datatype="BYTES", shape=[1], data="a"), "must be a list of texts, found 'a'"),
        (entry(datatype="BYTES", shape=[2], data=["a"]), "has 1 texts and the shape"),
    ],
)
@pytest.mark.filterwarnings("error")
def test_what_does_not_fit_is_refused(value: Json, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_tensor(value, None)


def test_texts_among_numbers_do_not_fill_the_memory() -> None:
    """numpy gives every value of an array the size of the longest text: 4 GB for this one, of 1 MB."""
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match=r"must be a list of int64, found \['xxx"):
            read_tensor(entry(data=["x" * 1_000_000, *range(1000)]), None)
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("raw", "datatype", "message"),
    [
        (b"1234567", "INT64", "has 7 bytes, which are not a whole number of int64 values"),
        (b"\x05\0\0\0abc", "BYTES", "text 0 of the input 'input_ids' should have 5 bytes, found 3"),
        (b"\x01\0\0\0\xff", "BYTES", "is not UTF-8"),
    ],
)
def test_bytes_that_do_not_fit_are_refused(raw: bytes, datatype: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_tensor(entry(datatype=datatype), memoryview(raw))


def test_sizes_of_the_binary_part() -> None:
    assert binary_size(entry()) is None
    assert binary_size(entry(parameters={"binary_data_size": 24})) == 24
    for size in (-1, True, "24", 1.5):
        with pytest.raises(InputError, match="binary_data_size must be a number of bytes"):
            binary_size(entry(parameters={"binary_data_size": size}))


def test_a_name_that_occurs_twice() -> None:
    with pytest.raises(InputError, match="has the name of another one"):
        by_name([InputTensor(name="a", values=("x",)), InputTensor(name="a", values=("y",))])
