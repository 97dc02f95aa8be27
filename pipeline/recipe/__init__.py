"""What to build: the recipe, its TOML, the plans that a target applies, and the presets."""
