"""Engines of TensorRT-RTX, which are compiled without a GPU and finished on the one that runs them."""

from distilforge.backends import backends
from distilforge.tensorrt.backend import TensorRT
from distilforge.tensorrt.flavours import RTX

backends.register(RTX.target)(TensorRT(flavour=RTX, preference=290))
