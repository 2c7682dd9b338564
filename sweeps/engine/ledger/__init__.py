"""The ledger as it is written: complete files, one writer at a time."""
