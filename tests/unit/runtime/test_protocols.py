"""What is, and what is not, the address of a file or a store."""

import pytest
from distilforge.errors import InputError
from distilforge.protocols import check_slashes


def test_a_url_with_one_slash_is_not_a_folder() -> None:
    with pytest.raises(InputError, match=r"'s3:/bucket/a\.jsonl' has one slash after its protocol") as raised:
        check_slashes("s3:/bucket/a.jsonl")
    assert raised.value.hint.startswith("s3://bucket/a.jsonl;")


@pytest.mark.parametrize("url", ["s3:", "s3:/", "s3://", "oci://", "https:///"])
def test_a_protocol_alone_is_not_a_folder(url: str) -> None:
    with pytest.raises(InputError, match="names nothing after its protocol"):
        check_slashes(url)


@pytest.mark.parametrize(
    "url",
    ["s3://a", "a", "/a", "./s3:/a", "C:/a", "C:/", "file:/a", "file:///a", "FILE:///", "zip://a::s3://b"],
)
def test_other_addresses_are_left_to_those_who_open_them(url: str) -> None:
    check_slashes(url)
