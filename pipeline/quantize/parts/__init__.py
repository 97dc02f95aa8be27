"""What the schemes share: finding what can be quantized, numbers for it, and editing the graph."""
