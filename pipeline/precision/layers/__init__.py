"""Which layers are quantized, and how each kind of layer is written."""
