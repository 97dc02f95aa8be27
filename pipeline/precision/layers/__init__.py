"""Linear layers and embeddings: which are quantized, and how each kind is written."""
