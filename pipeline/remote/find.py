"""The publisher for a URL, by its protocol."""

from distilforge.errors import UnavailableError
from distilforge.remote.find import PACKAGES, extra_of
from distilforge.remote.retries import Tell
from distilforge.urls import check_slashes, in_lower_case

from pipeline.errors import MissingError, UsageError
from pipeline.remote.publisher import Publisher


def find_publisher(url: str, tell: Tell) -> Publisher:
    """The publisher for the store at `url`.

    Raises MissingError if a package that its protocol needs is not installed, and UsageError for an empty URL.
    """
    if not url:
        raise UsageError("the URL of the store is empty", hint="for example s3://bucket/sentiment")
    check_slashes(url)
    url = in_lower_case(url)
    extra = extra_of(url)
    try:
        if extra == "oci":
            from pipeline.remote.oci import OciPublisher

            return OciPublisher(url, tell)
        if extra == "hub":
            from pipeline.remote.hub import HubPublisher

            return HubPublisher(url, tell)
        from pipeline.remote.folder import FolderPublisher

        return FolderPublisher(url, tell)
    except ModuleNotFoundError as cause:
        if cause.name not in PACKAGES:
            raise
        raise MissingError(
            f"the protocol of this URL needs {cause.name}, which is not installed",
            hint=f"pip install 'distilforge[{extra}]'",
        ) from cause
    except UnavailableError as cause:
        raise MissingError(cause.message, hint=cause.hint) from cause
