"""Latency and memory on an NVIDIA GPU, in the shape of DistilBERT's own documentation: `python -m bench.gpu`."""
