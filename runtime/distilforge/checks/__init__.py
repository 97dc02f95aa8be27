"""Checks before and after the engine: of what applications pass, of the arrays that are fed, and of the outputs."""
