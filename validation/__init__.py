"""Compares a release, opened as applications open it, with eager PyTorch."""
