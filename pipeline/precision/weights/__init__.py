"""Weights as 8-bit numbers: the rounding, and the nodes that read them."""
