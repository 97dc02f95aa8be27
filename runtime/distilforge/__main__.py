"""`python -m distilforge`."""

import sys

from distilforge.command_line import main

if __name__ == "__main__":
    sys.exit(main())
