"""What a service reads and writes for each head: one file per head, named like it."""

from distilforge.registry import Registry
from distilforge.serve.adapter import Adapter

adapters: Registry[type[Adapter]] = Registry(__name__)
"""The adapters by the head's name."""
