"""Rounding weights, and writing them into the graph."""
