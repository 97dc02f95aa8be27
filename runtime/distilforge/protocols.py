"""The protocols of URLs, whose case does not count (RFC 3986, section 3.1)."""

import re

# Of each URL of a chain, too
_PROTOCOL = re.compile(r"(?:^|(?<=::))[A-Za-z][A-Za-z0-9+.-]*(?=://)")


def in_lower_case(url: str) -> str:
    """`url` with its protocol in lower case, as fsspec knows it."""
    return _PROTOCOL.sub(lambda protocol: protocol[0].lower(), url)
