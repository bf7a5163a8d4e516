"""`python -m florence2_lab` is the command `florence2-lab`."""

import sys

from florence2_lab.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
