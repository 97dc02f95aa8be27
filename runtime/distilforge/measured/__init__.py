"""How fast a release is on this machine: measured (`bench`), shown (`table`, `plot`) and remembered (`memory`).

`distilforge.open` imports `place` alone, and `memory` only where something of the release is remembered.
"""
