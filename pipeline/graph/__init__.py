"""Graphs: exporting, reading, writing and editing them, naming their nodes, and running them in memory."""
