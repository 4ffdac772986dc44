"""``python -m virtualserver.operator``."""

import sys

from virtualserver.operator.process import main

if __name__ == "__main__":
    sys.exit(main())
