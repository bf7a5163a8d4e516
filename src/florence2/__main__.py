"""`python -m florence2` is the same as `florence2`."""

import sys

from florence2.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
