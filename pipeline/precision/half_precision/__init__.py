"""A float32 graph in fp16."""
