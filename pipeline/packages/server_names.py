"""Names that Kubernetes, Docker and a shell take, made of the names of releases, which may have spaces and capitals."""

import hashlib
import re

_OTHER_CHARACTERS = re.compile(r"[^a-z0-9]+")
_MOST_CHARACTERS = 39
"""Knative adds up to 24 characters, as in -predictor-00001-private, and a label has at most 63."""

_DIGITS = 8


def dns_label(name: str) -> str:
    """`name` as a label of Kubernetes: lower-case letters, digits and hyphens, at most 39, with a letter in front.

    A name that is no label gets digits of its digest, so that two names do not become one.
    """
    label = _OTHER_CHARACTERS.sub("-", name.lower()).strip("-")
    if not label[:1].isalpha():
        label = f"release-{label}"
    if label == name and len(label) <= _MOST_CHARACTERS:
        return label
    digest = hashlib.sha256(name.encode()).hexdigest()[:_DIGITS]
    return f"{label[: _MOST_CHARACTERS - _DIGITS - 1].rstrip('-')}-{digest}"
