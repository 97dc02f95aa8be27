"""Makes a package of any kind: verify, select, write, describe, and test."""
