"""One file a head: which BIG-bench tasks its data come from, and how they become its examples.

Each file defines `MEMBERS` (the archive's files it reads) and `build(source) -> Splits`.
"""
