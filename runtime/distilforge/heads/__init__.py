"""The session classes that answer: one file per head. A new file here is a new head; nothing else needs an edit."""

from distilforge.registry import Registry
from distilforge.session import Session

heads: Registry[type[Session]] = Registry(__name__)
