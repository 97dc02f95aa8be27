"""The paths of the service: one file for each shape that clients have."""
