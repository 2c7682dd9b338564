"""`python -m sweeps.engine.replay`; see command.py."""

import sys

from sweeps.engine.replay.command import main

if __name__ == "__main__":
    sys.exit(main())
