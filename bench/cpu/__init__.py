"""Latency and builds on a CPU against the peers: `python -m bench run`."""
