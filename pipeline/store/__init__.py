"""Where results are kept: the work folder, writing that cannot be half done, digests and versions."""
