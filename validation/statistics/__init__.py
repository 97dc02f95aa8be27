"""Metrics, and what a sample of examples can show about them."""
