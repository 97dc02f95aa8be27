"""Storage of results: the work folder, writing that is complete or absent, digests and versions."""
