"""Folders of sentence-transformers: the modules that compute one embedding of a text, and cross-encoders."""
