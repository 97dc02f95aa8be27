"""What a signature says: the SHA-256 of every file of the release, as OpenSSF's model signing states it.

Source: https://github.com/sigstore/model-transparency, class Payload.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

from distilforge.trust import document
from distilforge.trust.bundle import Bundle

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://model_signing/signature/v1.0"
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedFiles:
    """The files that a signature signs."""

    digests: Mapping[str, str]
    """The SHA-256 of each file, in hexadecimal digits, by the file's path in the release."""
    signer: str
    """Who signed, in words."""


def signed_files(bundle: Bundle, signer: str) -> SignedFiles:
    """The files that `bundle`, whose signature is verified, signs; ReleaseError if it is another kind of statement."""
    place = f"{bundle.place}: payload"
    statement = document.parse(bundle.payload, place)
    for name, expected in (("_type", STATEMENT_TYPE), ("predicateType", PREDICATE_TYPE)):
        actual = document.member(statement, name, place)
        if actual != expected:
            raise document.unexpected(actual, repr(expected), f"{place}: {name}")
    predicate = document.member(statement, "predicate", place)
    serialization = document.member(predicate, "serialization", place)
    method = document.member(serialization, "method", place)
    if method != "files":
        raise document.unexpected(method, "'files', a digest for each file", f"{place}: method")
    digests: dict[str, str] = {}
    root = hashlib.sha256()
    for resource in document.entries(document.member(predicate, "resources", place), place):
        name = document.text(document.member(resource, "name", place), place)
        algorithm = document.member(resource, "algorithm", place)
        digest = document.text(document.member(resource, "digest", place), place)
        if algorithm != "sha256" or not _SHA256.fullmatch(digest):
            raise document.unexpected(resource, "a SHA-256 of 64 hexadecimal digits", f"{place}: {name!r}")
        if name in digests:
            raise document.unexpected(name, "signed once", place)
        digests[name] = digest
        root.update(bytes.fromhex(digest))
    _check_root(statement, root.hexdigest(), place)
    return SignedFiles(digests=digests, signer=signer)


def _check_root(statement: object, expected: str, place: str) -> None:
    """ReleaseError unless the statement's subject is the digest of all digests."""
    subjects = document.entries(document.member(statement, "subject", place), place)
    digests = [
        document.member(document.member(subject, "digest", place), "sha256", place) for subject in subjects
    ]
    if digests != [expected]:
        raise document.unexpected(digests, f"the digest of all digests, {expected}", f"{place}: subject")
