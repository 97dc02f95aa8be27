"""NVIDIA's driver and devices. Importing this package imports no package of NVIDIA's."""
