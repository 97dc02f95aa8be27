"""Python wheels: written without a build, and downloaded for another machine."""
