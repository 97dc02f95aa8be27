"""The ranges of activations: observing them and choosing what is clipped."""
