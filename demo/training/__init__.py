"""Train low-rank adapters and a head on the prepared data."""
