"""``python -m virtualserver.operator``."""

from virtualserver.operator.process import main

if __name__ == "__main__":
    main()
