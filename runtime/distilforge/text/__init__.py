"""From text to token ids, and to padded batches."""
