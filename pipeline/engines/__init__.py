"""Engines: what TensorRT makes of a graph, in a process of its own.

What differs between TensorRT and TensorRT-RTX is data (flavours.py); everything else is one path: build.py checks,
starts worker.py, which drives Polygraphy, and reads its result. context_model.py hands an engine to ONNX Runtime.
"""
