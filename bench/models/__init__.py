"""What subjects open: the checkpoint, files of this project, and models in PyTorch and ONNX Runtime."""
