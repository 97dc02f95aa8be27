"""Writes a graph of ONNX in coremltools' intermediate language (MIL), which a Core ML model holds.

coremltools does not read ONNX. It is imported by the modules here and by nothing else, since only one kind of package
needs it.
"""
