"""From a checkpoint to a published release: load, export, compile, assemble, validate, publish."""
