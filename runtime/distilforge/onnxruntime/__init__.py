"""ONNX Runtime's engines: on the CPU, and through the providers of devices."""
