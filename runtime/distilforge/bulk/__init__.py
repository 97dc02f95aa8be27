"""`distilforge run`: answer every row of a file, in worker processes or on a Ray cluster (extra `bulk`)."""
