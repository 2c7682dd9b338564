"""`python -m sweeps.engine.replay`; see command.py."""

from sweeps.engine.replay.command import main

if __name__ == "__main__":
    main()
