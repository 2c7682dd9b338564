"""The print: one configuration of a run, trained to a real budget by the same engine."""
