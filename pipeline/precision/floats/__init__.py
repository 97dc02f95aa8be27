"""Reduced floating point: fp16 and fp8."""
