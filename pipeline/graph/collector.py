"""Python's garbage collector, kept out of work that makes many objects and keeps them."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def paused() -> Iterator[None]:
    """Collect nothing inside, and at the end all that became garbage.

    Importing PyTorch and tracing a model make millions of objects that stay: looking through them again and again
    takes a fifth of the time of an export, and frees next to nothing.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
            gc.collect()
