"""From logits to probabilities, and to answers."""
