"""Attention's own products in 8 bits."""
