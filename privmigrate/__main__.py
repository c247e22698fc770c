"""``python -m privmigrate`` and the command of that name."""

import sys

from privmigrate.cli import main

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main())
