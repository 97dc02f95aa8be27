"""Moving outliers from activations into weights before both are rounded."""
