"""NVIDIA's driver and devices, as far as engines need them; importing this imports no package of NVIDIA's."""
