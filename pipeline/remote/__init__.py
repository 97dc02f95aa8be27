"""Releases on another machine: pushing them, naming them by channels, and removing old ones."""
