"""Graphs: reading, writing and editing them, naming what is in them, and running them in memory."""
