"""Whether a release is the one that its publisher signed.

Imported only where an application asks for it: `cryptography` takes as long to import as a small release to open.
"""
