"""Which modules cost a variant its accuracy: both graphs in one, with a switch at every module's end."""
