"""The protocols of URLs, whose case does not count (RFC 3986, section 3.1)."""

import re

from distilforge.errors import InputError

# Two letters and more: one is a drive of Windows. Files of this machine may have any number of slashes
_ONE_SLASH = re.compile(
    r"(?!(?i:file|local):)(?P<protocol>[A-Za-z][A-Za-z0-9+.-]+):/(?P<rest>[^/].*)", re.DOTALL
)
_NO_NAME = re.compile(r"(?!(?i:file|local):)[A-Za-z][A-Za-z0-9+.-]+:/*")
# Of each URL of a chain, too
_PROTOCOL = re.compile(r"(?:^|(?<=::))[A-Za-z][A-Za-z0-9+.-]*(?=://)")


def in_lower_case(url: str) -> str:
    """`url` with its protocol in lower case, as fsspec knows it."""
    return _PROTOCOL.sub(lambda protocol: protocol[0].lower(), url)


def check_slashes(url: str) -> None:
    """Raise InputError for a protocol with one slash or no name after it, which would be a folder of this machine."""
    if parts := _ONE_SLASH.fullmatch(url):
        raise InputError(
            f"{url!r:.200} has one slash after its protocol",
            hint=f"{parts['protocol']}://{parts['rest']}; or ./{url} for a path that is really called so",
        )
    if _NO_NAME.fullmatch(url):
        raise InputError(
            f"{url!r:.200} names nothing after its protocol",
            hint=f"for example s3://bucket/name or oci://host/name; or ./{url} for a path that is really called so",
        )
