"""Patterns and rewriting by patterns, which several passes share."""
