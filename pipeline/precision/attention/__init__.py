"""The two matrix products of attention in 8 bits."""
