"""``python -m minibn`` is the command ``minibn``."""

import sys

from minibn.cli import main

if __name__ == "__main__":
    sys.exit(main())
