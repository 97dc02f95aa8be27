"""One file per head: the BIG-bench tasks that its data come from, and how they become its examples.

Each file defines `MEMBERS`, the files of the archive that it reads, and `build(source) -> Splits`.
"""
