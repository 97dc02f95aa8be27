"""Which modules cost a variant its accuracy: both graphs in one, with a switch at the end of every module."""
