"""What keeps an engine from being built of a graph, told before any build."""
