"""A run beside the table of a paper."""
