"""Engines of ONNX Runtime: on the CPU, and with the providers of devices."""
