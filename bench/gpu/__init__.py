"""Latency and memory on an NVIDIA GPU, as in the documentation of DistilBERT: `python -m bench.gpu`."""
