"""The same inputs through eager PyTorch and every variant, and how far the answers differ."""
