"""The store at a URL, by its protocol."""

from distilforge.errors import InputError, UnavailableError
from distilforge.remote.retries import Tell, say_nothing
from distilforge.remote.store import Store
from distilforge.urls import check_slashes, in_lower_case

PACKAGES = ("fsspec", "huggingface_hub", "oras", "requests")
"""The packages that are needed by one kind of store or the other."""


def extra_of(url: str) -> str:
    """The extra of this package that the protocol of `url` needs."""
    return {"oci": "oci", "hf": "hub"}.get(url.partition("://")[0], "remote")


def find_store(url: str, tell: Tell = say_nothing) -> Store:
    """The store at `url`; `tell` receives a line for each part of it that is left out because it is damaged.

    Raises UnavailableError if the protocol needs a package that is not installed, and InputError if there cannot be
    a store.
    """
    if not url:
        raise InputError("the URL of the store is empty", hint="for example s3://bucket/sentiment")
    check_slashes(url)
    url = in_lower_case(url)
    extra = extra_of(url)
    try:
        if extra == "oci":
            from distilforge.remote.oci import OciStore

            return OciStore(url, tell)
        if extra == "hub":
            from distilforge.remote.hub import HubStore

            return HubStore(url)
        from distilforge.remote.folder import FolderStore

        return FolderStore(url)
    except ModuleNotFoundError as cause:
        if cause.name not in PACKAGES:
            raise
        raise UnavailableError(
            f"the protocol of this URL needs {cause.name}, which is not installed",
            hint=f"pip install 'distilforge[{extra}]'",
        ) from cause
