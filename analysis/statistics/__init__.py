"""Statistics: numbers in, numbers out. No ledger, no plots."""
