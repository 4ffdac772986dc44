"""``python -m virtualserver.cli`` is the ``vs`` command."""

from virtualserver.cli import main

if __name__ == "__main__":
    main.main()
