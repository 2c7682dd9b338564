"""`ray submit cluster.yaml cluster/print.py -- RUN --steps N --out PRINT`: teststrip print, on a cluster."""

from sweeps.engine.prints.command import main

if __name__ == "__main__":
    main()
