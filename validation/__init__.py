"""Checks a release, opened as applications open it, against eager PyTorch."""
