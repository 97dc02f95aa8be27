"""DistilBERT in PyTorch, with every head. Imports nothing else of this project."""
