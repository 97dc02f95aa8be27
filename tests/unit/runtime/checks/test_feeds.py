"""Arrays that an engine cannot take are refused with the name, the value and the bound."""

import re

import numpy as np
import pytest
from distilforge.checks.feeds import check_feeds
from distilforge.engine import Array
from distilforge.errors import InputError
from distilforge.manifest import FileRecord, Manifest, Provenance, Span, Tensor, Variant

VOCABULARY = 100
MANIFEST = Manifest(
    name="n",
    version="v",
    head="sequence_classification",
    labels=("a",),
    problem_type=None,
    inputs=tuple(
        Tensor(name=name, dtype="int64", shape=("batch", "sequence"))
        for name in ("input_ids", "attention_mask")
    ),
    outputs=(),
    spans={"batch": Span(low=1, usual=2, high=4), "sequence": Span(low=2, usual=4, high=8)},
    variants=(Variant(target="t", precision="p", files=("f",)),),
    files={"f": FileRecord(sha256="0" * 64, bytes=0)},
    provenance=Provenance(
        checkpoint_sha256="", recipe_sha256="", git_commit="", tools={}, host="", created=""
    ),
)


def feeds(rows: int = 2, tokens: int = 5, dtype: str = "int64") -> dict[str, Array]:
    ids = np.full((rows, tokens), 7, dtype=dtype)
    return {"input_ids": ids, "attention_mask": np.ones_like(ids)}


@pytest.mark.parametrize("dtype", ["int64", "int32", "uint8", "bool"])
def test_lossless_dtypes_are_converted(dtype: str) -> None:
    arrays = feeds() | {"attention_mask": np.ones((2, 5), dtype=dtype)}
    checked = check_feeds(arrays, MANIFEST, VOCABULARY)
    assert list(checked) == ["input_ids", "attention_mask"]
    assert all(array.dtype == np.int64 and array.flags.c_contiguous for array in checked.values())


def test_transposed_arrays_are_copied() -> None:
    arrays = feeds() | {"input_ids": np.arange(10, dtype=np.int64).reshape(5, 2).T}
    np.testing.assert_array_equal(check_feeds(arrays, MANIFEST, VOCABULARY)["input_ids"], arrays["input_ids"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"token_type_ids": feeds()["input_ids"]},
            "no input 'token_type_ids'\n  hint: leave it out: DistilBERT has no token types",
        ),
        ({"input_idz": feeds()["input_ids"]}, "did you mean 'input_ids'?"),
        ({"input_ids": feeds(dtype="float32")["input_ids"]}, "has dtype float32; it must convert to int64"),
        ({"input_ids": feeds(dtype="uint64")["input_ids"]}, "has dtype uint64"),
        ({"input_ids": [[1, 2, 3]]}, "'input_ids' must be a numpy array, found list"),
        ({"input_ids": np.ones(5, dtype=np.int64)}, "has 1 axes; it must have 2 (batch, sequence)"),
        (
            {"input_ids": np.ones((2, 6), dtype=np.int64)},
            "the axis 'sequence' has size 5 in 'attention_mask' and 6",
        ),
        ({"input_ids": np.full((2, 5), 100)}, "'input_ids' holds 100; it must be between 0 and 99"),
        ({"input_ids": np.full((2, 5), -1)}, "'input_ids' holds -1; it must be between 0 and 99"),
        ({"attention_mask": np.full((2, 5), 2)}, "'attention_mask' holds 2; it must be between 0 and 1"),
    ],
)
def test_arrays_that_are_refused(changes: dict[str, Array], message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        check_feeds(feeds() | changes, MANIFEST, VOCABULARY)


@pytest.mark.parametrize(
    ("rows", "tokens", "message"),
    [
        (5, 5, "the axis 'batch' of the input 'input_ids' has size 5; this release takes 1 to 4"),
        (0, 5, "has size 0; this release takes 1 to 4"),
        (2, 9, "the axis 'sequence' of the input 'input_ids' has size 9; this release takes 2 to 8"),
        (2, 1, "has size 1; this release takes 2 to 8"),
    ],
)
def test_sizes_outside_the_span(rows: int, tokens: int, message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        check_feeds(feeds(rows, tokens), MANIFEST, VOCABULARY)


def test_a_missing_input() -> None:
    with pytest.raises(InputError, match="the input 'attention_mask' is missing"):
        check_feeds({"input_ids": feeds()["input_ids"]}, MANIFEST, VOCABULARY)
