"""Tuning measures plans on this machine and keeps the fastest one that meets the gates."""
