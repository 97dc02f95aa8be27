"""The 8-bit numbers of a quantized graph, and their scales."""
