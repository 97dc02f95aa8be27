"""The command line: commands of a few lines, their options, and the one place that prints."""
