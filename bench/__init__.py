"""Benchmarks of what this project publishes against its peers: `python -m bench --help`."""
