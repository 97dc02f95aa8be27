"""Ranges of activations: statistics on calibration data, and the methods that choose a range from them."""
