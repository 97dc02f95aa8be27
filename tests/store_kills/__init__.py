"""Kills publishers at random moments, and looks what readers see afterwards."""
