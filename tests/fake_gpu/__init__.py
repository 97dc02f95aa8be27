"""An NVIDIA GPU made of host memory, to test everything around a real one: driver, CUDA runtime and TensorRT.

The driver (`driver.c`) is a shared library, since the runtime loads the real one by its name, in another process too.
CUDA's runtime is replaced at its Python bindings: the real runtime library is linked into them, and talks to the real
driver through tables that NVIDIA does not document, so that no driver can stand in for it.
"""
