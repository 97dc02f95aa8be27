"""What readers see of a contest: tables, plots and JSON."""
