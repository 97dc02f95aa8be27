"""Run published DistilBERT releases."""
