"""The machine and the code that a result comes from. Nothing here loads torch."""
