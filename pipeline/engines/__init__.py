"""Engines: a compiler makes one from a graph, in a process of its own.

What differs between TensorRT and TensorRT-RTX is data (compiler.py, and a target's file). build.py checks the options,
starts worker.py, which calls Polygraphy, and reads its result. context_model.py gives an engine to ONNX Runtime.
"""
