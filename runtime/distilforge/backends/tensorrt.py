"""Engines of TensorRT, for data centres and Jetson."""

from distilforge.backends import backends
from distilforge.tensorrt.backend import TensorRT
from distilforge.tensorrt.flavours import TENSORRT

backends.register(TENSORRT.target)(TensorRT(flavour=TENSORRT, preference=300))
