"""What a run survives, counted: faults are made on purpose, seeded and repeated.

The ledger that is left is held against one of an undisturbed run.

    python -m tests.chaos [--minutes M] [--only NAME ...]     make the faults, and record every outcome
    python -m tests.chaos --page                              write docs/reliability.md from what is recorded

A fault is a function of a seed and an empty folder that returns an `Outcome`; `faults/` has a file per family.
"""
