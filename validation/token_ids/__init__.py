"""Compares the token ids of a release with those of transformers' AutoTokenizer on the checkpoint."""
