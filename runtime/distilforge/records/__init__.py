"""Benchmark records in the user's cache, by which `distilforge.open` selects the variant that is fastest here.

`distilforge.open` always imports `record_files`, and `benchmark_records` only if there is a record of the release.
"""
