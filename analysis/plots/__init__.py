"""Plots: numbers and an axis in, the axis out. No ledger, no statistics, no files, no global style."""
