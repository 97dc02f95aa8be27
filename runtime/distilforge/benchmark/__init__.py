"""How fast a release's variants are on this machine: measure it (`run`), show it (`table`, `plot`), and keep it."""
