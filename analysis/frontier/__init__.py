"""The Pareto front of a run, and how certain it is."""
