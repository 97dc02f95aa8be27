"""Real texts in batches, with the lengths that they have."""
