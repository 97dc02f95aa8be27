"""Engines of TensorRT and TensorRT-RTX: one implementation; what differs between the two is data (EngineRuntime)."""
