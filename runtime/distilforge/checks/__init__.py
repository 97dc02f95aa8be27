"""Checks around the engine: what applications pass (`arguments`)."""
