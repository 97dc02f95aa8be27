"""ONNX's operators that compute each element from the elements at the same place, of which activations are made.

With them, passes know what they may move past, or flatten the tokens of, whichever activation a DistilBERT has.
"""

UNARY = frozenset(("Clip", "Erf", "Gelu", "LeakyRelu", "Mish", "Relu", "Sigmoid", "Tanh"))
"""Operators that compute each element from that element alone; other inputs, as of Clip, are single numbers."""
BROADCASTING = frozenset(("Add", "Div", "Max", "Min", "Mul", "Pow", "Sub"))
"""Operators that compute each element from one element of every input, and that broadcast."""
