"""Answer the calls of many threads and tasks together: `session.batched()`."""
