"""``python -m anejax`` is the ``anejax`` command."""

import sys

from anejax.cli import main

if __name__ == "__main__":
    sys.exit(main())
