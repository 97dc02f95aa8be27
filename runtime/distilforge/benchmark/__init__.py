"""How fast a release's variants are on this machine: measure it (`bench`), show it (`table`, `plot`), and keep it.

`records` keeps results in the user's cache, so that `distilforge.open` selects the variant that is fastest here.
`distilforge.open` always imports `record_files`, and `records` only if there is a record of the release.
"""
