"""The release: put together, judged by its gate, described by its card, and published."""
