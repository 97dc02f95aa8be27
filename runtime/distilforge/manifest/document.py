"""How a release's JSON documents are read."""

from distilforge.errors import ReleaseError
from distilforge.reader import Reader

# Unknown fields are ignored, so that this version opens releases of a later one that has the same schema
READER = Reader(ReleaseError, unknown="ignore", hint="publish or copy the release again")
