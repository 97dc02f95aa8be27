"""How fast the variants are beside eager PyTorch, timed by the runtime's timing engine."""
