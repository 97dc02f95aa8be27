"""Benchmarks of this project against its peers: `python -m bench --help`."""
