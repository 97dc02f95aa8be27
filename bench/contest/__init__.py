"""A contest: subjects are prepared, timed in turns on one machine, and compared."""
