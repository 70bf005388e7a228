"""Run ``python -m tapeflow``."""

import sys

from tapeflow.cli import main

if __name__ == "__main__":
    sys.exit(main())
