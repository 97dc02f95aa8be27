"""What is, and what is not, the address of a file or a store."""

import pytest
from distilforge.errors import InputError
from distilforge.urls import check_slashes, name_of, without_secrets


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


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("ftp://me:secret@host/a.jsonl", "ftp://***@host/a.jsonl"),
        ("s3://token@bucket/a.jsonl", "s3://***@bucket/a.jsonl"),
        ("zip://a.jsonl::ftp://me:p@ss@host/b.zip", "zip://a.jsonl::ftp://***@host/b.zip"),
        ("https://host/a.jsonl?X-Amz-Signature=secret", "https://host/a.jsonl?***"),
        ("HTTPS://host/a.jsonl?a=secret", "HTTPS://host/a.jsonl?***"),
        ("abfs://c@account/a?sv=1&sig=secret", "abfs://***@account/a?sv=1&sig=***"),
        (
            "no connection with url: /a?X-Amz-Signature=secret&x=1",
            "no connection with url: /a?X-Amz-Signature=***&x=1",
        ),
        ("not found: 'https://host/a?sig=secret' (404)", "not found: 'https://host/a?***' (404)"),
        ("file:///folder/a@b?.jsonl", "file:///folder/a@b?.jsonl"),
        ("/folder/a@b.jsonl", "/folder/a@b.jsonl"),
        # As a path has it
        ("no release at 'https:/me:secret@host/m?token=secret'", "no release at 'https:/***@host/m?***'"),
        ("s3:/me:secret@bucket/a", "s3:/***@bucket/a"),
        ("C:/folder@2/a?b", "C:/folder@2/a?b"),
    ],
)
def test_credentials_are_not_shown(url: str, shown: str) -> None:
    assert without_secrets(url) == shown


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("s3:/me:secret@bucket/a.jsonl", "s3:/***@bucket/a.jsonl"),
        ("HTTPS:/host/a?b=secret", "HTTPS:/host/a?***"),
    ],
)
def test_credentials_stay_out_of_the_error_of_one_slash(url: str, shown: str) -> None:
    with pytest.raises(InputError) as raised:
        check_slashes(url)
    assert str(raised.value).count(shown) == 2
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/bulk/a.jsonl", "a.jsonl"),
        ("https://host/a.jsonl?sig=b/c.csv", "a.jsonl"),
        ("/bulk/a?b.jsonl", "a?b.jsonl"),
    ],
)
def test_the_name_of_a_file(path: str, name: str) -> None:
    assert name_of(path) == name
