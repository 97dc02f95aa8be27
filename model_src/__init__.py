"""DistilBERT (Sanh et al. 2019) in PyTorch, with every head. Imports nothing else of this project.

Sanh, Debut, Chaumond, Wolf: DistilBERT, a distilled version of BERT: smaller, faster, cheaper and lighter,
arXiv:1910.01108. `model` is the encoder, `heads` its heads, `checkpoint` reads and writes Hugging Face folders.
"""
