"""URLs as text: their protocols, whose case does not count (RFC 3986, section 3.1), and the secrets in them."""

import re

from distilforge.errors import InputError

# Two letters and more: one is a drive of Windows. Files of this machine may have any number of slashes
_ONE_SLASH = re.compile(
    r"(?!(?i:file|local):)(?P<protocol>[A-Za-z][A-Za-z0-9+.-]+):/(?P<rest>[^/].*)", re.DOTALL
)
# A path has one slash of those that a URL has
_BEGINNING = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:[/\\]")
_NO_NAME = re.compile(r"(?!(?i:file|local):)[A-Za-z][A-Za-z0-9+.-]+:/*")
# Of each URL of a chain, too
_PROTOCOL = re.compile(r"(?:^|(?<=::))[A-Za-z][A-Za-z0-9+.-]*(?=://)")
# With one slash it is a URL that was taken for a path
_CREDENTIALS = re.compile(r"(?:(?<=://)|(?<=[A-Za-z0-9+.-]{2}:/)(?!/))[^/?#\s]*@")
# Signed URLs have their signature behind the question mark
_QUERY = re.compile(r"((?i:https?):/{1,2}[^\s?'\"]*\?)[^\s'\"]*")
# Of Azure, and of addresses without a protocol in the errors of libraries
_SIGNATURE = re.compile(r"(?i)\b(X-(?:Amz|Goog)-[\w-]+|sig|signature)=[^&\s'\"]+")
_HIDDEN = "***"


def is_url(text: str) -> bool:
    """Whether `text` begins with a protocol, with one slash too, as a URL has that was taken for a path."""
    return bool(_BEGINNING.match(text))


def in_lower_case(url: str) -> str:
    """`url` with its protocol in lower case, as fsspec knows it."""
    return _PROTOCOL.sub(lambda protocol: protocol[0].lower(), url)


def protocols(url: str) -> frozenset[str]:
    """The protocols of `url`, and of each URL of a chain."""
    return frozenset(_PROTOCOL.findall(url))


def without_secrets(text: str) -> str:
    """`text` without the credentials that URLs in it have, so that it may be shown and kept."""
    shown = _QUERY.sub(rf"\1{_HIDDEN}", _CREDENTIALS.sub(f"{_HIDDEN}@", text))
    return _SIGNATURE.sub(rf"\1={_HIDDEN}", shown)


def name_of(path: str) -> str:
    """The name of the file at a path or URL: of a web address without what follows the question mark."""
    return _QUERY.sub(r"\1", path).rstrip("?").rsplit("/", 1)[-1]


def check_slashes(url: str) -> None:
    """Raise InputError for a protocol with one slash or no name after it, which would be a folder of this machine."""
    if parts := _ONE_SLASH.fullmatch(url):
        meant = without_secrets(f"{parts['protocol']}://{parts['rest']}")
        shown = meant.replace("://", ":/", 1)
        raise InputError(
            f"{shown!r:.200} has one slash after its protocol",
            hint=f"{meant:.200}; or ./{shown:.200} for a path that is really called so",
        )
    if _NO_NAME.fullmatch(url):
        raise InputError(
            f"{url!r:.200} names nothing after its protocol",
            hint=f"for example s3://bucket/name or oci://host/name; or ./{url} for a path that is really called so",
        )
