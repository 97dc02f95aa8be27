"""Checks of an ONNX file before any build: what prevents an engine, and what to do about it."""
