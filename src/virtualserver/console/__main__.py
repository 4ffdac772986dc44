"""``python -m virtualserver.console``."""

import sys

from virtualserver.console.process import main

if __name__ == "__main__":
    sys.exit(main())
